const IPV4 = /^((?:\d{1,3}\.){4})in-addr\.arpa$/
const IPV6 = /^((?:[0-9a-f]\.){32})ip6\.arpa$/

/** The address that a question for a name of an address is about (RFC 1035 3.5, RFC 3596 2.5); undefined for any other name. Pure. */
export function reverseAddress(name: string): string | undefined {
  const four = IPV4.exec(name)?.[1]
  if (four !== undefined) {
    const octets = four.split('.').slice(0, 4).reverse()
    return octets.every((octet) => Number(octet) <= 255) ? octets.join('.') : undefined
  }
  const six = IPV6.exec(name)?.[1]
  if (six === undefined) return undefined
  const digits = six.split('.').slice(0, 32).reverse().join('')
  return digits.match(/.{4}/g)?.join(':')
}
