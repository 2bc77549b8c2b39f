import type { Clock, Logger } from '@berth/core'
import type { RateLimit } from '../auth/rate-limit.js'
import type { HostClient } from '../host/host.client.js'
import type { AuthStore } from '../store/auth.store.js'
import type { ClusterStore } from '../store/cluster.store.js'
import type { NodeWriteStore } from '../store/node-write.store.js'
import type { ReadStore } from '../store/read.store.js'
import type { ServiceStore } from '../store/service.store.js'

/** What controllers are given: plain classes, made once in main. Also their injection token. */
export abstract class Deps {
  abstract readonly read: ReadStore
  abstract readonly services: ServiceStore
  abstract readonly nodes: NodeWriteStore
  abstract readonly auth: AuthStore
  abstract readonly cluster: ClusterStore
  abstract readonly host: HostClient
  abstract readonly clock: Clock
  abstract readonly logger: Logger
  abstract readonly loginsByName: RateLimit
  abstract readonly loginsByIp: RateLimit
  abstract readonly tickets: { issue(userName: string): string }
  /** An image as the digest it names now. */
  abstract resolveImage(image: string): Promise<string>
  abstract isReady(): Promise<{ ready: boolean; database: boolean; leader: boolean }>
}
