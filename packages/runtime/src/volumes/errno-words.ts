/** What strerror(3) says of the errnos that mount(2) gives most, since docker's clients look for these words. */
const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  ENOTDIR: 'not a directory',
  EINVAL: 'invalid argument',
  EPERM: 'operation not permitted',
  EACCES: 'permission denied',
  ENODEV: 'no such device',
  ENXIO: 'no such device or address',
  ENOTBLK: 'block device required',
  EBUSY: 'device or resource busy',
  ECONNREFUSED: 'connection refused',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  ETIMEDOUT: 'connection timed out',
  EROFS: 'read-only file system',
  ENOMEM: 'cannot allocate memory',
  ENOSPC: 'no space left on device',
  ELOOP: 'too many levels of symbolic links',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'temporary failure in name resolution',
}

export const errnoWords = (errno: string): string => WORDS[errno] ?? errno
