import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { fault } from '@berth/core'
import { addressKind } from './address-guard.js'

export interface Resolved {
  readonly address: string
  readonly family: number
  readonly isPrivate: boolean
}

/** What a remote source may ask where: a name counts as every address it has. */
export interface Reach {
  /** After a redirect from a public host: none but public ones. */
  readonly publicOnly: boolean
}

/**
 * The addresses of a host that a build may ask; who connects uses these and asks no name server again (DNS rebinding).
 * @throws build.source_refused, build.source_unreachable
 */
export async function resolveGuarded(host: string, { publicOnly }: Reach): Promise<readonly Resolved[]> {
  const name = host.replace(/^\[(.*)\]$/, '$1')
  const found = isIP(name) ? [{ address: name, family: isIP(name) }] : await addressesOf(name)
  return found.map(({ address, family }) => {
    const kind = addressKind(address)
    if (kind === 'refused')
      throw refused(host, `${address} is link-local or reserved, and builds may not ask such addresses`)
    if (kind === 'private' && publicOnly)
      throw refused(host, `a public host redirected to ${address}, which is a private address`)
    return { address, family, isPrivate: kind === 'private' }
  })
}

async function addressesOf(name: string): Promise<readonly { address: string; family: number }[]> {
  try {
    return await lookup(name, { all: true })
  } catch (cause) {
    throw fault.unavailable('build.source_unreachable', `the host ${name} is not known: ${String(cause)}`, {
      cause,
      params: { host: name },
    })
  }
}

const refused = (host: string, why: string) =>
  fault.permissionDenied('build.source_refused', `the host ${host} of a remote source is refused: ${why}`, {
    params: { host },
  })
