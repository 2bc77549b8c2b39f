import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Key, Marking } from './mark.js'

const NODES = 12
const node = fc.integer({ min: 0, max: NODES - 1 }).map((n): Key => `n:${n}`)
const graph = fc.dictionary(node, fc.array(node, { maxLength: 4 }), { maxKeys: NODES })

function reachable(roots: readonly Key[], edges: (key: Key) => readonly Key[]): Set<Key> {
  const found = new Set<Key>()
  const walk = (key: Key) => {
    if (found.has(key)) return
    found.add(key)
    for (const next of edges(key)) walk(next)
  }
  roots.forEach(walk)
  return found
}

const all = Array.from({ length: NODES }, (_, n): Key => `n:${n}`)

test('in a world that stands still exactly what nothing leads to is swept', () => {
  fc.assert(
    fc.property(graph, fc.array(node), fc.integer({ min: 1, max: 5 }), (world, roots, budget) => {
      const edges = (key: Key) => world[key] ?? []
      const marking = new Marking(all)
      for (const root of roots) marking.shade(root)
      const swept: Key[] = []
      while (!marking.isDone) {
        marking.step(edges, budget)
        const key = marking.takeWhite()
        if (key) swept.push(key)
      }
      const kept = reachable(roots, edges)
      expect(swept.sort()).toEqual(all.filter((key) => !kept.has(key)).sort())
    }),
    { numRuns: 2_000 },
  )
})

test('whatever is claimed while the collection runs, nothing that is claimed or led to then is ever swept', () => {
  const act = fc.oneof(
    fc.record({ kind: fc.constant('claim' as const), key: node }),
    fc.record({ kind: fc.constant('step' as const), key: node }),
    fc.record({ kind: fc.constant('sweep' as const), key: node }),
  )
  fc.assert(
    fc.property(
      graph,
      fc.array(node, { maxLength: 3 }),
      fc.array(act, { maxLength: 60 }),
      (world, roots, acts) => {
        const edges = (key: Key) => world[key] ?? []
        const marking = new Marking(all)
        const claimed = [...roots]
        const gone = new Set<Key>()
        for (const root of roots) marking.shade(root)
        for (const { kind, key } of acts) {
          if (kind === 'step') marking.step(edges, 1)
          if (kind === 'claim' && ![...reachable([key], edges)].some((one) => gone.has(one))) {
            claimed.push(key)
            marking.shade(key)
          }
          const swept = kind === 'sweep' ? marking.takeWhite() : undefined
          if (swept === undefined) continue
          gone.add(swept)
          expect(reachable(claimed, edges).has(swept)).toBe(false)
        }
      },
    ),
    { numRuns: 5_000 },
  )
})
