//! Where a backup is kept: a directory, or a prefix in a bucket that speaks S3.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart};
use sha2::{Digest, Sha256};

use super::directory::{self, Draft};
use super::manifest::{FileEntry, hex};
use crate::cli::exit::Failure;

const S3: &str = "s3://";
/// What is longer goes to a bucket in parts of this size.
const PART_BYTES: usize = 8 << 20;
/// Parts of one file on their way.
const PARTS_AT_ONCE: usize = 4;

/// A place for a backup.
#[derive(Clone, Debug)]
pub struct Place {
    store: Store,
    shown: String,
}

#[derive(Clone, Debug)]
enum Store {
    Directory(PathBuf),
    Bucket { store: Arc<AmazonS3>, prefix: Path },
}

/// Why something of a place cannot be had.
enum PlaceError {
    Missing,
    Io(io::Error),
    Bucket(object_store::Error),
}

impl From<io::Error> for PlaceError {
    fn from(error: io::Error) -> PlaceError {
        match error.kind() {
            io::ErrorKind::NotFound => PlaceError::Missing,
            _ => PlaceError::Io(error),
        }
    }
}

impl From<object_store::Error> for PlaceError {
    fn from(error: object_store::Error) -> PlaceError {
        match error {
            object_store::Error::NotFound { .. } => PlaceError::Missing,
            other => PlaceError::Bucket(other),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Place {
    /// `s3://bucket/prefix`, or a directory, which must be there unless it is to be `made`.
    ///
    /// # Errors
    /// It is neither, or the directory cannot be used.
    pub fn at(text: &str, made: bool) -> Result<Place, Failure> {
        let store = match text.strip_prefix(S3) {
            Some(rest) => bucket(text, rest)?,
            None if text.contains("://") => {
                return Err(Failure::Usage(format!("{text} is neither a directory nor s3://BUCKET/PREFIX")));
            }
            None => Store::Directory(PathBuf::from(text)),
        };
        if let Store::Directory(dir) = &store {
            if made {
                std::fs::create_dir_all(dir).map_err(|error| Failure::io(format!("make {text}"), &error))?;
            } else if !dir.is_dir() {
                return Err(Failure::Nothing(format!("there is no directory {text}")));
            }
        }
        Ok(Place { store, shown: text.trim_end_matches('/').to_owned() })
    }

    fn failed(&self, what: &str, name: &str, error: impl Into<PlaceError>) -> Failure {
        let what = format!("{what} {}/{name}", self.shown);
        match error.into() {
            PlaceError::Missing => Failure::Failed(format!("cannot {what}: it is not there")),
            PlaceError::Io(error) => Failure::io(what, &error),
            PlaceError::Bucket(error) => Failure::Failed(format!("cannot {what}: {error}")),
        }
    }

    /// A small file, if it is there.
    ///
    /// # Errors
    /// The place does not answer.
    pub async fn get(&self, name: &str) -> Result<Option<Bytes>, Failure> {
        match self.read(name).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(PlaceError::Missing) => Ok(None),
            Err(error) => Err(self.failed("read", name, error)),
        }
    }

    async fn read(&self, name: &str) -> Result<Bytes, PlaceError> {
        Ok(match &self.store {
            Store::Directory(dir) => std::fs::read(dir.join(name))?.into(),
            Store::Bucket { store, prefix } => store.get(&below(prefix, name)).await?.bytes().await?,
        })
    }

    /// Writes a small file, durably.
    ///
    /// # Errors
    /// The place does not take it.
    pub async fn put(&self, name: &str, bytes: Bytes) -> Result<(), Failure> {
        let put = match &self.store {
            Store::Directory(dir) => directory::put(&dir.join(name), &bytes).map_err(PlaceError::from),
            Store::Bucket { store, prefix } => {
                let put = store.put(&below(prefix, name), PutPayload::from_bytes(bytes)).await;
                put.map(|_| ()).map_err(PlaceError::from)
            }
        };
        put.map_err(|error| self.failed("write", name, error))
    }

    /// Begins a file. It is there when the writer has finished, and not before.
    ///
    /// # Errors
    /// The place does not take it.
    pub fn writer(&self, name: &str) -> Result<FileWriter, Failure> {
        let sink = match &self.store {
            Store::Bucket { .. } => Sink::Held(Vec::new()),
            Store::Directory(dir) => {
                Sink::File(Draft::begin(&dir.join(name)).map_err(|error| self.failed("write", name, error))?)
            }
        };
        let (place, name) = (self.clone(), name.to_owned());
        Ok(FileWriter { place, name, sink, sha256: Sha256::new(), length: 0 })
    }

    /// The bytes of a file, as they come.
    ///
    /// # Errors
    /// It is not there, or the place does not answer.
    pub async fn open(&self, name: &str) -> Result<BoxStream<'static, Result<Bytes, Failure>>, Failure> {
        let (place, shown) = (self.clone(), name.to_owned());
        match &self.store {
            Store::Directory(dir) => {
                let file = File::open(dir.join(name)).map_err(|error| self.failed("read", name, error))?;
                let bytes = futures::stream::try_unfold((file, place, shown), |mut state| async move {
                    let (file, place, shown) = &mut state;
                    let read = tokio::task::block_in_place(|| directory::next(file));
                    let read = read.map_err(|error| place.failed("read", shown, error))?;
                    Ok(read.map(|bytes| (Bytes::from(bytes), state)))
                });
                Ok(bytes.boxed())
            }
            Store::Bucket { store, prefix } => {
                let got = store.get(&below(prefix, name)).await;
                let bytes = got.map_err(|error| self.failed("read", name, error))?.into_stream();
                Ok(bytes.map(move |it| it.map_err(|error| place.failed("read", &shown, error))).boxed())
            }
        }
    }

    /// Reads a file, and what it is.
    ///
    /// # Errors
    /// It is not there, or the place does not answer.
    pub async fn check(&self, name: &str, mut read: impl FnMut(u64)) -> Result<FileEntry, Failure> {
        let mut bytes = self.open(name).await?;
        let (mut sha256, mut length) = (Sha256::new(), 0);
        while let Some(part) = bytes.next().await {
            let part = part?;
            sha256.update(&part);
            length += part.len() as u64;
            read(part.len() as u64);
        }
        Ok(FileEntry { name: name.to_owned(), length, sha256: hex(&sha256.finalize()) })
    }

    /// Names and lengths of all files.
    ///
    /// # Errors
    /// The place does not answer.
    pub async fn list(&self) -> Result<BTreeMap<String, u64>, Failure> {
        let listed = match &self.store {
            Store::Directory(dir) => directory::list(dir).map_err(PlaceError::from),
            Store::Bucket { store, prefix } => listed(store, prefix).await.map_err(PlaceError::from),
        };
        listed.map_err(|error| self.failed("list", "", error))
    }

    /// Removes a file.
    ///
    /// # Errors
    /// The place does not answer.
    pub async fn remove(&self, name: &str) -> Result<(), Failure> {
        let removed = match &self.store {
            Store::Directory(dir) => std::fs::remove_file(dir.join(name)).map_err(PlaceError::from),
            Store::Bucket { store, prefix } => {
                store.delete(&below(prefix, name)).await.map_err(PlaceError::from)
            }
        };
        removed.map_err(|error| self.failed("remove", name, error))
    }
}

/// Endpoint, region and keys come from the variables that everybody's tools read: `AWS_ENDPOINT_URL`, `AWS_REGION`,
/// `AWS_ACCESS_KEY_ID`, ...
fn bucket(text: &str, rest: &str) -> Result<Store, Failure> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(Failure::Usage(format!("{text} names no bucket: write s3://BUCKET/PREFIX")));
    }
    let prefix = Path::parse(prefix.trim_end_matches('/'))
        .map_err(|error| Failure::Usage(format!("{text}: {error}")))?;
    let builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
    let endpoint = builder.get_config_value(&AmazonS3ConfigKey::Endpoint);
    // Whoever writes http:// means it.
    let plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    let builder = if plain { builder.with_allow_http(true) } else { builder };
    // The client's TLS takes the provider of the process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let store = builder.build().map_err(|error| Failure::Usage(format!("{text}: {error}")))?;
    Ok(Store::Bucket { store: Arc::new(store), prefix })
}

fn below(prefix: &Path, name: &str) -> Path {
    name.split('/').fold(prefix.clone(), |path, part| path.join(part))
}

async fn listed(store: &AmazonS3, prefix: &Path) -> object_store::Result<BTreeMap<String, u64>> {
    let mut found = BTreeMap::new();
    let mut objects = store.list(Some(prefix));
    while let Some(object) = objects.next().await {
        let object = object?;
        let Some(parts) = object.location.prefix_match(prefix) else { continue };
        let name: Vec<String> = parts.map(|part| part.as_ref().to_owned()).collect();
        found.insert(name.join("/"), object.size);
    }
    Ok(found)
}

/// Where the bytes of a file go.
enum Sink {
    File(Draft),
    /// Not yet more than one part.
    Held(Vec<u8>),
    Parts(WriteMultipart),
}

/// A file that is being written.
pub struct FileWriter {
    place: Place,
    name: String,
    sink: Sink,
    sha256: Sha256,
    length: u64,
}

impl FileWriter {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// The place does not take them.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.sha256.update(bytes);
        self.length += bytes.len() as u64;
        let put = self.put(bytes).await;
        put.map_err(|error| self.place.failed("write", &self.name, error))
    }

    async fn put(&mut self, bytes: &[u8]) -> Result<(), PlaceError> {
        if let (Sink::Held(held), Store::Bucket { store, prefix }) = (&mut self.sink, &self.place.store)
            && held.len() + bytes.len() > PART_BYTES
        {
            let upload = store.put_multipart(&below(prefix, &self.name)).await?;
            let mut parts = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
            parts.write(held);
            self.sink = Sink::Parts(parts);
        }
        match &mut self.sink {
            Sink::File(draft) => tokio::task::block_in_place(|| draft.file.write_all(bytes))?,
            Sink::Held(held) => held.extend_from_slice(bytes),
            Sink::Parts(parts) => {
                parts.wait_for_capacity(PARTS_AT_ONCE).await?;
                parts.write(bytes);
            }
        }
        Ok(())
    }

    /// The file is there, durably.
    ///
    /// # Errors
    /// The place does not take it.
    pub async fn finish(self) -> Result<FileEntry, Failure> {
        let FileWriter { place, name, sink, sha256, length } = self;
        let finished = match sink {
            Sink::File(draft) => tokio::task::block_in_place(|| draft.finish()).map_err(PlaceError::from),
            Sink::Held(held) => {
                return place.put(&name, held.into()).await.map(|()| entry(name, length, sha256));
            }
            Sink::Parts(parts) => parts.finish().await.map(|_| ()).map_err(PlaceError::from),
        };
        finished.map_err(|error| place.failed("write", &name, error))?;
        Ok(entry(name, length, sha256))
    }
}

fn entry(name: String, length: u64, sha256: Sha256) -> FileEntry {
    FileEntry { name, length, sha256: hex(&sha256.finalize()) }
}
