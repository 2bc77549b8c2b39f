/** The two address families, in the kernel's numbers. */
export const AF_INET = 2
export const AF_INET6 = 10

export const familyOf = (ip: string): 4 | 6 => (ip.includes(':') ? 6 : 4)

/** As the kernel wants it: 4 or 16 bytes, the first of the address first. A zone (`%eth0`) is left out. */
export function addressBytes(ip: string): Buffer {
  if (familyOf(ip) === 4) return Buffer.from(ip.split('.').map(Number))
  const [head = '', tail] = withoutDots(ip.replace(/%.*/, '')).split('::')
  const left = words(head)
  const right = words(tail ?? '')
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length
  const all = [...left, ...Array<number>(Math.max(zeros, 0)).fill(0), ...right]
  return Buffer.from(all.flatMap((word) => [word >> 8, word & 0xff]))
}

const words = (text: string): number[] =>
  text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16))

/** `::ffff:10.0.0.1` in hexadecimal words (RFC 4291, 2.2). */
function withoutDots(ip: string): string {
  const [, head, a = '0', b = '0', c = '0', d = '0'] = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(ip) ?? []
  if (head === undefined) return ip
  const word = (high: string, low: string) => (Number(high) * 256 + Number(low)).toString(16)
  return `${head}${word(a, b)}:${word(c, d)}`
}

/** The text of an address that the kernel gave; IPv6 in full words without leading zeros. */
export const addressText = (bytes: Buffer): string =>
  bytes.length === 4
    ? [...bytes].join('.')
    : Array.from({ length: bytes.length / 2 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(
        ':',
      )

/** Whether two texts name one address, e.g. `fd00::1` and `fd00:0:0::1`. */
export const isSameAddress = (a: string, b: string): boolean => addressBytes(a).equals(addressBytes(b))
