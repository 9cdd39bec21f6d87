//! A file system for each node: ext4 on an image, mounted over a loop device.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::state::{Lock, NodeState, StateFile};
use crate::error::ChaosError;
use crate::limits::{IMAGE_BYTES_MAX, IMAGE_BYTES_MIN, POLL};
use crate::tool;

/// How long something else (a test that reads a file) may keep a file system from being unmounted.
const BUSY_WITHIN: Duration = Duration::from_secs(5);

/// Where a node's image is, and where it is mounted. The node's directory is one in there: beside it a disk is filled.
#[derive(Clone, Debug)]
pub(crate) struct Volume {
    pub image: PathBuf,
    pub mount: PathBuf,
}

/// What is mounted somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mounted {
    /// `7:0`
    pub device: String,
}

impl Volume {
    pub fn of(file: &StateFile, index: usize) -> Volume {
        let root = file.root();
        Volume {
            image: root.join(format!("volume-{index}.img")),
            mount: root.join(format!("volume-{index}")),
        }
    }

    /// The node's directory, once it is mounted.
    pub fn directory(&self) -> PathBuf {
        self.mount.join("data")
    }

    /// Makes the image and mounts it.
    pub fn make(&self, lock: &Lock, node: &NodeState, image_bytes: u64) -> Result<(), ChaosError> {
        if !(IMAGE_BYTES_MIN..=IMAGE_BYTES_MAX).contains(&image_bytes) {
            return Err(ChaosError::Usage(format!(
                "an image has {IMAGE_BYTES_MIN} to {IMAGE_BYTES_MAX} bytes, not {image_bytes}"
            )));
        }
        let what = || ChaosError::io(format!("make {}", self.image.display()));
        std::fs::File::create(&self.image).and_then(|file| file.set_len(image_bytes)).map_err(what())?;
        std::fs::create_dir_all(&self.mount).map_err(what())?;
        // Nothing is kept for root: who runs as root has a full disk as well.
        lock.run("mkfs.ext4", &["-q", "-F", "-b", "4096", "-m", "0", &text(&self.image)])?;
        self.mount(lock)?;
        std::fs::create_dir_all(&node.directory).map_err(what())?;
        // The directory itself is to survive the first power failure.
        let synced = std::fs::File::open(&self.mount).and_then(|directory| directory.sync_all());
        synced.map_err(ChaosError::io(format!("sync {}", self.mount.display())))
    }

    /// Mounts the image over a loop device of its own. `mount -o loop` would take one that is there for the image: the
    /// one of the mount before, if somebody looked at the machine's loop devices in that moment. That one is about to go,
    /// and whatever is read through it then fails.
    pub fn mount(&self, lock: &Lock) -> Result<(), ChaosError> {
        let device = lock.run("losetup", &["--find", "--show", &text(&self.image)])?;
        let device = device.trim();
        let mounted = lock.run("mount", &["-t", "ext4", device, &text(&self.mount)]);
        // It goes with the mount from now on; at once, if there is none.
        lock.run("losetup", &["--detach", device])?;
        mounted.map(|_| ())
    }

    /// Waits for whoever still reads there.
    pub fn unmount(&self) -> Result<(), ChaosError> {
        let deadline = Instant::now() + BUSY_WITHIN;
        loop {
            match tool::run("umount", &[&text(&self.mount)]) {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) => std::thread::sleep(POLL * 5),
            }
        }
    }

    /// Whether it is mounted and was not shut down.
    pub fn takes_files(&self) -> bool {
        let trial = self.mount.join("trial");
        // A full disk has room for a name.
        self.mounted().is_some()
            && std::fs::write(&trial, "").and_then(|()| std::fs::remove_file(&trial)).is_ok()
    }

    /// None where nothing is mounted.
    pub fn mounted(&self) -> Option<Mounted> {
        let table = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
        mounted_at(&table, &self.mount)
    }

    /// Unmounts it if it is mounted, frozen or not, and deletes the image. What was there.
    pub fn remove(&self) -> Result<Vec<String>, ChaosError> {
        let mut removed = Vec::new();
        while self.mounted().is_some() {
            self.unmount().or_else(|_| tool::run("umount", &["--lazy", &text(&self.mount)]).map(|_| ()))?;
            removed.push(format!("mount {}", self.mount.display()));
        }
        if self.image.exists() {
            // Left where `mount` was killed in the middle.
            for device in tool::run("losetup", &["-n", "-O", "NAME", "-j", &text(&self.image)])?.lines() {
                // One that is being cleared by itself may be gone.
                if tool::run("losetup", &["-d", device.trim()]).is_ok() {
                    removed.push(format!("loop device {}", device.trim()));
                }
            }
            std::fs::remove_file(&self.image)
                .map_err(ChaosError::io(format!("remove {}", self.image.display())))?;
            removed.push(format!("image {}", self.image.display()));
        }
        if self.mount.exists() {
            std::fs::remove_dir(&self.mount)
                .map_err(ChaosError::io(format!("remove {}", self.mount.display())))?;
        }
        Ok(removed)
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// From a mount table as in proc(5), `mountinfo`.
fn mounted_at(table: &str, mount: &Path) -> Option<Mounted> {
    let escaped = text(mount).replace('\\', "\\134").replace(' ', "\\040").replace('\t', "\\011");
    let of = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        (fields.get(4) == Some(&escaped.as_str())).then(|| Mounted { device: fields[2].to_owned() })
    };
    // What was mounted last lies on top.
    table.lines().rev().find_map(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_found_by_their_place() {
        let table = "\
            21 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
            30 21 7:3 / /tmp/a\\040b/volume-1 rw,relatime - ext4 /dev/loop3 rw\n";
        assert_eq!(mounted_at(table, Path::new("/tmp/a b/volume-1")), Some(Mounted { device: "7:3".into() }));
        assert_eq!(mounted_at(table, Path::new("/tmp/a b")), None);
    }
}
