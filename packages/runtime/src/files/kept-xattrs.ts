/** Overlayfs's own are not the file's, and a label of a security module belongs to one host. */
export const isKeptXattr = (key: string): boolean =>
  !/^(?:trusted|user)\.overlay\./.test(key) &&
  !['security.selinux', 'security.ima', 'security.evm'].includes(key)
