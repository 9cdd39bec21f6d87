// Protobuf by hand, in the frames of gRPC: a message is its fields, one after another.

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
/** In front of a message of gRPC: whether it is compressed, and its length. */
const HEAD_BYTES = 5;

export function message(...fields: Buffer[]): Buffer {
  return Buffer.concat(fields);
}

export function number(field: number, value: number): Buffer {
  return Buffer.concat([varint((field << 3) | VARINT), varint(value)]);
}

export function bytes(field: number, value: Buffer): Buffer {
  return Buffer.concat([varint((field << 3) | BYTES), varint(value.length), value]);
}

export function text(field: number, value: string): Buffer {
  return bytes(field, Buffer.from(value, "utf8"));
}

function varint(value: number): Buffer {
  const digits: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...digits, rest]);
    digits.push((rest % 128) | 128);
  }
}

/** A message of gRPC: not compressed, with its length in front. */
export function framed(payload: Buffer): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(payload.length, 1);
  return Buffer.concat([head, payload]);
}

/** What comes of a stream, put together to messages. */
export class Frames {
  private rest = Buffer.alloc(0);

  /** The messages that are whole with this part. */
  take(part: Buffer): Buffer[] {
    this.rest = Buffer.concat([this.rest, part]);
    const whole: Buffer[] = [];
    while (this.rest.length >= HEAD_BYTES) {
      const end = HEAD_BYTES + this.rest.readUInt32BE(1);
      if (this.rest.length < end) break;
      whole.push(this.rest.subarray(HEAD_BYTES, end));
      this.rest = this.rest.subarray(end);
    }
    return whole;
  }
}

/** The bytes of a field that has bytes, or a text, or a message; none if it is not there. */
export function fieldOf(payload: Buffer, wanted: number): Buffer | undefined {
  let at = 0;
  const digits = (): number => {
    for (let [value, scale] = [0, 1]; ; scale *= 128) {
      const digit = payload.readUInt8(at++);
      value += (digit & 127) * scale;
      if (digit < 128) return value;
    }
  };
  while (at < payload.length) {
    const key = digits();
    const kind = key & 7;
    if (kind === VARINT) digits();
    else if (kind === FIXED64) at += 8;
    else if (kind === FIXED32) at += 4;
    else if (kind === BYTES) {
      const length = digits();
      if (key >> 3 === wanted) return payload.subarray(at, at + length);
      at += length;
    } else throw new Error(`there is no field of kind ${kind}`);
  }
  return undefined;
}
