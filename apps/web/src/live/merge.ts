/** A list with newer versions of some items in place, new ones added where they belong, and gone ones left out. */
export function mergeItems<Item extends { readonly id: string }>(
  items: readonly Item[],
  change: { readonly items: readonly Item[]; readonly removed: readonly string[] },
  belongs: (item: Item) => boolean,
): readonly Item[] {
  const incoming = new Map(change.items.map((item) => [item.id, item]))
  const removed = new Set(change.removed)
  const kept = items.filter((item) => !removed.has(item.id)).map((item) => incoming.get(item.id) ?? item)
  const known = new Set(items.map((item) => item.id))
  const added = change.items.filter((item) => !known.has(item.id) && belongs(item))
  return [...kept, ...added]
}
