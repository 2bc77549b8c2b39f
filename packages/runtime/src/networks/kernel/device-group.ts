const FNV_OFFSET = 0x811c9dc5
const FNV_PRIME = 0x01000193
const NONE_OF_OTHERS = 0x4000_0000

/**
 * The device group (IFLA_GROUP) of a network's routed cables, by which the packet rules know them; the same at every start, since it comes
 * from the network's id (FNV-1a, 30 bits; far from the small numbers people give by hand).
 */
export function deviceGroup(networkId: string): number {
  let hash = FNV_OFFSET
  for (const char of networkId) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), FNV_PRIME) >>> 0
  return (hash & 0x3fff_ffff) | NONE_OF_OTHERS
}
