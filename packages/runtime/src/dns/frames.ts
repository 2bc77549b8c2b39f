const LENGTH_BYTES = 2

/** A message as it goes over a connection (RFC 1035 4.2.2). Pure. */
export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeUInt16BE(message.length)
  return Buffer.concat([length, message])
}

/** Takes a connection's bytes as they come and gives the messages that are whole; at most one that is not is held, of 64 KiB. */
export class FrameReader {
  private held: Buffer = Buffer.alloc(0)

  push(data: Buffer): readonly Buffer[] {
    this.held = Buffer.concat([this.held, data])
    const messages: Buffer[] = []
    for (;;) {
      if (this.held.length < LENGTH_BYTES) return messages
      const end = LENGTH_BYTES + this.held.readUInt16BE(0)
      if (this.held.length < end) return messages
      messages.push(this.held.subarray(LENGTH_BYTES, end))
      this.held = this.held.subarray(end)
    }
  }
}
