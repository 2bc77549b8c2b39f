import { fault } from '@berth/core'

/** The arguments of mount(2) for a volume of the local driver. */
export interface VolumeMount {
  readonly type: string
  readonly device: string
  readonly flags: number
  readonly data: string
}

const KEYS = ['type', 'o', 'device']
const NEEDS: Readonly<Record<string, readonly string[]>> = {
  type: ['device'],
  device: ['type'],
  o: ['device', 'type'],
}

/** mount(8)'s words for flags of mount(2): those to set, those to take away. */
const FLAGS: Readonly<Record<string, readonly [set: number, clear: number]>> = {
  defaults: [0, 0],
  ro: [1, 0],
  rw: [0, 1],
  nosuid: [2, 0],
  suid: [0, 2],
  nodev: [4, 0],
  dev: [0, 4],
  noexec: [8, 0],
  exec: [0, 8],
  sync: [16, 0],
  async: [0, 16],
  dirsync: [128, 0],
  noatime: [1024, 0],
  atime: [0, 1024],
  nodiratime: [2048, 0],
  diratime: [0, 2048],
  bind: [4096, 0],
  rbind: [4096 | 16_384, 0],
  relatime: [1 << 21, 0],
  norelatime: [0, 1 << 21],
  strictatime: [1 << 24, 0],
}

const invalid = (why: string) => fault.invalidArgument('volume.option_invalid', why)

/** What the options mean; undefined when there are none. @throws volume.option_invalid, with docker's words */
export function volumeMount(options: Readonly<Record<string, string>>): VolumeMount | undefined {
  const keys = Object.keys(options)
  if (keys.length === 0) return undefined
  for (const key of keys) {
    if (!KEYS.includes(key)) throw invalid(`invalid option: ${JSON.stringify(key)}`)
    for (const needed of NEEDS[key] ?? [])
      if (!options[needed]) throw invalid(`missing required option: ${JSON.stringify(needed)}`)
    if (/[\0\n]/.test(options[key] ?? '')) throw invalid(`option ${key} has a NUL byte or a line end`)
  }
  const { type = '', device = '', o = '' } = options
  const { flags, data } = mountWords(o)
  if (flags & 4096 && !device.startsWith('/'))
    throw invalid(`device ${JSON.stringify(device)} must be absolute`)
  return { type: type === 'none' ? '' : type, device, flags, data }
}

function mountWords(text: string): { readonly flags: number; readonly data: string } {
  let flags = 0
  const data: string[] = []
  for (const word of text.split(',').filter((part) => part !== '')) {
    const known = Object.hasOwn(FLAGS, word) ? FLAGS[word] : undefined
    if (!known) data.push(word)
    else flags = (flags | known[0]) & ~known[1]
  }
  return { flags, data: data.join(',') }
}

/** The name of a server in the options of a network file system: the kernel only takes its address. */
export const serverOf = ({ type, data }: VolumeMount): string | undefined =>
  /^(?:nfs|nfs4|cifs)$/.test(type) ? /(?:^|,)addr=([^,]+)/.exec(data)?.[1] : undefined

export const withServer = (mount: VolumeMount, address: string): VolumeMount => ({
  ...mount,
  data: mount.data.replace(/(^|,)addr=[^,]+/, `$1addr=${address}`),
})
