import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  askFrom,
  askFromHost,
  HOST,
  ip,
  NEIGHBOUR,
  type NetworkLab,
  openNetworkLab,
  pings,
  publication,
} from '../../testing/network-lab.js'
import type { BareContainer } from '../../testing/own-network.js'
import { until } from '../../testing/until.js'
import type { Plug } from '../host-view.js'
import { CROWD } from './links/bridge-ports.exec.js'

/** More than a bridge has ports. */
const COUNT = 1_100
type Member = { readonly container: BareContainer; readonly plug: Plug }

let lab: NetworkLab
let crowd: readonly Member[]
beforeAll(async () => {
  lab = await openNetworkLab()
  crowd = await lab.crowd(COUNT)
})
afterAll(() => lab?.end())

const member = (index: number): Member => {
  const one = crowd.at(index)
  if (!one) throw new Error(`no container ${index}`)
  return one
}
const addressOf = ({ plug }: Member): string => plug.addresses[0]?.ip ?? ''
const reaches = (from: Member, to: Member): boolean => pings(from.container, addressOf(to))

test('ADR 9: containers that would crowd the bridge are routed, and look the same inside', () => {
  const ports = ip('-o', 'link', 'show', 'master', 'br-crowd').trim().split('\n')
  expect(ports).toHaveLength(CROWD)
  expect(
    ip('-o', 'route')
      .split('\n')
      .filter((line) => line.includes('scope link') && / dev k/.test(line)),
  ).toHaveLength(COUNT - CROWD)
  const inside = ({ container }: Member) => container.run('ip', 'route').replaceAll(/src \S+/g, 'src x')
  expect(inside(member(-1))).toBe(inside(member(0)))
})

test('ADR 9: bridged and routed containers reach each other, the host and what is beyond', () => {
  const [first, second, last, other] = [member(0), member(1), member(-1), member(-2)]
  for (const [from, to] of [
    [first, second],
    [first, last],
    [last, first],
    [last, other],
  ] as const)
    expect([addressOf(from), addressOf(to), reaches(from, to)]).toEqual([
      addressOf(from),
      addressOf(to),
      true,
    ])
  expect(pings(last.container, '10.201.0.1')).toBe(true)
  expect(pings(last.container, NEIGHBOUR.ipv4)).toBe(true)
})

test('ADR 9: the first packet to a routed container waits for nothing', () => {
  const started = performance.now()
  expect(reaches(member(2), member(-3))).toBe(true)
  expect(performance.now() - started).toBeLessThan(500)
})

test('ADR 9: a routed container publishes ports as any other, from outside, the loopback and itself', async () => {
  const last = member(-1)
  await lab.serve(last.container, 80)
  await lab.kernel.setRules({ networks: [], endpoints: [publication(last.plug, 8080)] })
  expect(askFrom(lab.neighbour, HOST.ipv4, 8080)).toBe(NEIGHBOUR.ipv4)
  expect(await askFromHost('127.0.0.1', 8080)).toBe('10.201.0.1')
  expect(askFrom(last.container, HOST.ipv4, 8080)).toBe('10.201.0.1')
  expect(askFrom(member(0).container, HOST.ipv4, 8080)).toBe('10.201.0.1')
  expect(askFrom(member(-2).container, HOST.ipv4, 8080)).toBe('10.201.0.1')
  expect(askFrom(member(0).container, addressOf(last), 80)).toBe(addressOf(member(0)))
})

test('ADR 9: a routed container is as far from other networks and the wire as a bridged one', async () => {
  const { container: other } = await lab.plug(lab.network(1), 2)
  lab.neighbour.run('ip', 'route', 'add', '10.201.0.0/16', 'via', HOST.ipv4)
  for (const from of [other, lab.neighbour]) expect(pings(from, addressOf(member(-1)))).toBe(false)
  expect(pings(member(-1).container, '10.200.1.2')).toBe(false)
})

test('F47: a routed cable that was taken away comes back, routed or on a port that is free by then', async () => {
  const ending = new AbortController()
  lab.kernel.watch(ending.signal)
  try {
    ip('link', 'del', member(-1).plug.cable)
    await until('the cable is back', () => ip('-o', 'link').includes(` ${member(-1).plug.cable}@`))
    await until('it leads there', () => reaches(member(0), member(-1)))
  } finally {
    ending.abort()
  }
})
