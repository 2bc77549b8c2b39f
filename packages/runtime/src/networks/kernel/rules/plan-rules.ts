import type { RulesView } from '../../host-view.js'
import { guardRules } from './guard-rules.js'
import { isolationRules } from './isolation-rules.js'
import { masqueradeRules } from './masquerade-rules.js'
import { publishRules } from './publish-rules.js'
import { ruleNetworks } from './rule-network.js'

/**
 * The whole table as one nft transaction: it replaces what was there, so the kernel never sees half of it, and who may reach whom stands
 * before what is published. A packet visits the same number of chains however many networks and ports there are: each choice is one
 * look-up in a map. The chains only ever drop or let on to the next table, so they open nothing that the host's own firewall closes.
 */
export function planRules(table: string, view: RulesView): string {
  const networks = ruleNetworks(view.networks)
  const internal = new Set(networks.filter(({ isInternal }) => isInternal).map(({ id }) => id))
  const endpoints = view.endpoints.filter(({ networkId }) => !internal.has(networkId))
  return [
    // Earlier versions had a table of family ip.
    ...['ip', 'inet'].flatMap((family) => [`table ${family} ${table} {}`, `delete table ${family} ${table}`]),
    `table inet ${table} {`,
    ...guardRules(networks),
    ...isolationRules(networks),
    ...publishRules(endpoints),
    ...masqueradeRules(networks),
    '}',
    '',
  ].join('\n')
}

/** Takes the table away, also one that is not there. */
export const planRemoval = (table: string): string =>
  ['ip', 'inet']
    .flatMap((family) => [`table ${family} ${table} {}`, `delete table ${family} ${table}`, ''])
    .join('\n')
