import { fault } from '@berth/core'
import type { RegistryAccess } from '../api.js'

const isLoopback = (host: string): boolean => host === 'localhost' || /^127\./.test(host) || host === '[::1]'

/** Where a registry of references is spoken to. @throws registry.plain_http for http off loopback without permission */
export function registryEndpoint(host: string, access: RegistryAccess | undefined): URL {
  const known = host === 'docker.io' ? 'registry-1.docker.io' : host
  const text =
    access?.endpoint ??
    `${isLoopback(known.split(':')[0] ?? '') || access?.plainHttp ? 'http' : 'https'}://${known}`
  const url = new URL(text)
  if (url.protocol === 'http:' && !isLoopback(url.hostname) && !access?.plainHttp) {
    throw fault.failedPrecondition(
      'registry.plain_http',
      `registry ${host} would be spoken to without TLS: use https or allow plain http for it`,
    )
  }
  return url
}
