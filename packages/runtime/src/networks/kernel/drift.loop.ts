import type { Clock, Logger } from '@berth/core'
import { NETLINK_NETFILTER, NETLINK_ROUTE } from '../../host/netlink.js'
import { listenToKernel } from '../../host/netlink-events.js'
import { mayBeDrift } from './links/link-messages.js'
import type { PacketRules } from './rules/packet-rules.exec.js'
import { NOTHING_READ, readChanges } from './rules/table-messages.js'

const RTNLGRP_LINK = 1
const RTNLGRP_IPV4_IFADDR = 5
const RTNLGRP_IPV6_IFADDR = 9
const NFNLGRP_NFTABLES = 7
/** A net under the kernel's messages: links are looked at, and a message about rules that never came is noticed. */
const LOOK_EVERY_MS = 5_000
/** At most so often, so that a host where links come and go is not held up by looking at all of them. */
const PAUSE_MS = 1_000

export interface DriftDeps {
  readonly table: string
  readonly clock: Clock
  readonly logger: Logger
  readonly rules: PacketRules
  isOurs(link: string): boolean
  /** Puts back whatever is missing. Idempotent. */
  repair(): Promise<void>
  /** The packet rules alone, which wait for nothing: until they are back, networks are open to each other. */
  repairRules(): Promise<void>
}

/** Repairs when the kernel tells of a change by others, and every few seconds, until `signal` aborts. */
export async function watchDrift(deps: DriftDeps, signal: AbortSignal): Promise<void> {
  let wake = () => {}
  const bell = { isRung: false, ring: () => {} }
  bell.ring = () => {
    bell.isRung = true
    wake()
  }
  for (let isAgain = false; !signal.aborted; isAgain = true) {
    const stop = listen(deps, bell.ring)
    // What was written while nobody listened may have been taken away then.
    if (isAgain) deps.rules.forget()
    while (!signal.aborted && stop.isListening()) {
      bell.isRung = false
      deps.rules.look()
      await deps.repair().catch((error: unknown) => {
        if (!signal.aborted) deps.logger.warn({ error: String(error) }, 'networks cannot be put right')
      })
      await rest(deps.clock, PAUSE_MS, signal)
      const rung = new Promise<void>((resolve) => {
        wake = resolve
      })
      if (!bell.isRung) await Promise.race([rung, rest(deps.clock, LOOK_EVERY_MS, signal)])
    }
    stop.end()
  }
}

const rest = (clock: Clock, ms: number, signal: AbortSignal): Promise<void> =>
  clock.sleep(ms, signal).catch(() => {})

interface Listening {
  isListening(): boolean
  end(): void
}

function listen(deps: DriftDeps, ring: () => void): Listening {
  const { table, rules, isOurs } = deps
  let isWhole = true
  let read = NOTHING_READ
  const onLoss = () => {
    isWhole = false
    rules.forget()
    ring()
  }
  const ends = [
    listenToKernel(NETLINK_ROUTE, [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR], {
      onLoss,
      onMessages: (messages) => {
        if (mayBeDrift(messages, isOurs)) ring()
      },
    }),
    listenToKernel(NETLINK_NETFILTER, [NFNLGRP_NFTABLES], {
      onLoss,
      onMessages: (messages) => {
        read = readChanges(read, messages, table)
        rules.note(read.generations, read.latest)
        if (read.generations.length > 0) deps.repairRules().catch(ring)
      },
    }),
  ]
  rules.listens()
  return {
    isListening: () => isWhole,
    end: () => {
      for (const end of ends) end()
    },
  }
}
