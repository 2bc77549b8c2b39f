/** docker's: an address of nobody's, made of the container's own, so that it is the same at each start. */
export const macAddressOf = (ip: string): string =>
  ['02', '42', ...ip.split('.').map((octet) => Number(octet).toString(16).padStart(2, '0'))].join(':')
