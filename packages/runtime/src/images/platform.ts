import { fault } from '@berth/core'

export interface Platform {
  readonly os: string
  readonly architecture: string
  readonly variant: string
}

/** What node calls x64, registries call amd64. */
export const ociArchitecture = (nodeArch: string): string =>
  ({ x64: 'amd64', ia32: '386' })[nodeArch] ?? nodeArch

/** The platform of a host that runs this architecture of node. */
export const hostPlatform = (nodeArch: string): Platform => normalize('linux', ociArchitecture(nodeArch), '')

const ALIASES: Readonly<Record<string, readonly [string, string]>> = {
  x86_64: ['amd64', ''],
  'x86-64': ['amd64', ''],
  aarch64: ['arm64', ''],
  armhf: ['arm', 'v7'],
  armel: ['arm', 'v6'],
  i386: ['386', ''],
  i686: ['386', ''],
}
const PART = /^[A-Za-z0-9_-]{1,32}$/

/** containerd's rules: arm without a variant is v7, arm64's v8 and amd64's v1 say nothing. */
function normalize(os: string, architecture: string, variant: string): Platform {
  const [alias = architecture, implied = ''] = ALIASES[architecture] ?? []
  const given = (variant || implied).replace(/^(\d)/, 'v$1')
  if (alias === 'arm') return { os, architecture: alias, variant: given || 'v7' }
  const isPlain = (alias === 'arm64' && given === 'v8') || (alias === 'amd64' && given === 'v1')
  return { os, architecture: alias, variant: isPlain ? '' : given }
}

/** `linux/arm64`, `arm64`, `linux/arm/v7`, `linux`. @throws image.platform_invalid */
export function parsePlatform(text: string, host: Platform): Platform {
  const parts = text.toLowerCase().split('/')
  if (parts.length > 3 || !parts.every((part) => PART.test(part)))
    throw fault.invalidArgument(
      'image.platform_invalid',
      `${JSON.stringify(text.slice(0, 100))} is not a platform: expected OS/ARCHITECTURE[/VARIANT]`,
    )
  const [first = '', second, variant = ''] = parts
  if (second !== undefined) return normalize(first, second, variant)
  return first === 'linux' ? host : normalize('linux', first, '')
}

export const formatPlatform = ({ os, architecture, variant }: Platform): string =>
  [os || 'unknown', architecture || 'unknown', variant].filter(Boolean).join('/')

/** How well a platform on offer suits: 0 for not at all. A processor runs older variants of its architecture, the newest first. */
export function platformRank(offered: Platform, wanted: Platform): number {
  const has = normalize(offered.os, offered.architecture, offered.variant)
  if (has.os !== wanted.os || has.architecture !== wanted.architecture) return 0
  if (has.variant === wanted.variant) return 1_000
  const [newest, candidate] = [versionOf(wanted), versionOf(has)]
  return candidate > 0 && candidate <= newest ? candidate : 0
}

/** Whether an image runs where `text` asks for. @throws image.platform_invalid */
export const fitsPlatform = (offered: Platform, text: string, nodeArch: string): boolean =>
  platformRank(offered, parsePlatform(text, hostPlatform(nodeArch))) > 0

const BASE_VERSION: Readonly<Record<string, number>> = { arm64: 8, amd64: 1 }

function versionOf({ architecture, variant }: Platform): number {
  if (variant === '') return BASE_VERSION[architecture] ?? 1
  return Number(/^v(\d{1,2})$/.exec(variant)?.[1] ?? 0)
}
