import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  askFrom,
  HOST,
  ip,
  NEIGHBOUR,
  type NetworkLab,
  nft,
  openNetworkLab,
  pings,
  publication,
} from '../../testing/network-lab.js'
import { until } from '../../testing/until.js'
import { PacketRules } from './rules/packet-rules.exec.js'
import { currentGeneration } from './rules/tables.exec.js'

const PROMISED_MS = 10_000
let lab: NetworkLab
let ending: AbortController
beforeEach(async () => {
  lab = await openNetworkLab()
  ending = new AbortController()
  lab.kernel.watch(ending.signal)
})
afterEach(async () => {
  ending?.abort()
  await lab?.end()
})

const comesBack = (what: string, condition: () => boolean) => until(what, condition, PROMISED_MS)

describe('F47: what others take away comes back within ten seconds', () => {
  test('isolation and published ports, after a flush of all packet rules', async () => {
    const [red, blue] = [lab.network(1), lab.network(2)]
    const { container: one, plug } = await lab.plug(red, 2)
    const { container: two } = await lab.plug(blue, 2)
    await lab.serve(one, 80)
    await lab.kernel.setRules({ networks: [red, blue], endpoints: [publication(plug, 8080)] })
    for (const _ of [1, 2, 3]) {
      nft('flush', 'ruleset')
      await comesBack('the published port', () => askFrom(lab.neighbour, HOST.ipv4, 8080) === NEIGHBOUR.ipv4)
      expect(pings(two, '10.200.1.2')).toBe(false)
    }
  })

  test('one chain or one rule of the table, or an element of a map', async () => {
    await lab.kernel.ensure(lab.network(1))
    const whole = nft('list', 'table', 'inet', 'lab')
    for (const spoil of [
      ['flush', 'chain', 'inet', 'lab', 'guard'],
      ['delete', 'element', 'inet', 'lab', 'into', '{ "br-lab1" }'],
      ['insert', 'rule', 'inet', 'lab', 'forward', 'accept'],
      ['delete', 'table', 'inet', 'lab'],
    ]) {
      nft(...spoil)
      await comesBack(spoil.join(' '), () => nft('list', 'ruleset') === whole).catch((error: unknown) => {
        throw new Error(`${error}, the rules are now:\n${nft('list', 'ruleset')}`)
      })
    }
  })

  test('what the kernel never told of is noticed at the second look', async () => {
    const plan = 'table inet lab {}\ndelete table inet lab\ntable inet lab { chain closed { drop; }\n}\n'
    const rules = new PacketRules('lab', () => plan)
    rules.listens()
    await rules.write()
    rules.note([], currentGeneration())
    nft('flush', 'chain', 'inet', 'lab', 'closed')
    for (const _ of [1, 2]) rules.look()
    await rules.ensure()
    expect(nft('list', 'table', 'inet', 'lab')).toContain('drop')
  })

  test('what others do to tables of their own makes nobody write', async () => {
    await lab.kernel.ensure(lab.network(1))
    nft('add', 'table', 'inet', 'other')
    const handle = () => nft('-a', 'list', 'tables').match(/lab # handle (\d+)/)?.[1]
    const before = handle()
    nft('delete', 'table', 'inet', 'other')
    ip('link', 'del', 'br-lab1')
    await comesBack('the bridge', () => ip('-o', 'link').includes('br-lab1'))
    expect(handle()).toBe(before)
  })

  test.each([
    ['a bridge', ['link', 'del', 'br-lab1']],
    ['a cable’s bridge', ['link', 'set', 'c1', 'nomaster']],
    ['a cable', ['link', 'del', 'c1']],
    ['the bridge’s addresses', ['addr', 'flush', 'dev', 'br-lab1']],
    ['the bridge being up', ['link', 'set', 'br-lab1', 'down']],
    ['a cable being up', ['link', 'set', 'c1', 'down']],
  ])('%s', async (_, spoil) => {
    const { container } = await lab.plug(lab.network(1), 2)
    ip(...spoil)
    await comesBack('the cable', () => {
      const links = ip('-o', 'link')
      const isPlugged =
        /c1@.*UP,LOWER_UP.* master br-lab1 /.test(links) && /br-lab1:.*UP,LOWER_UP/.test(links)
      return isPlugged && ip('-o', 'addr', 'show', 'br-lab1').includes('fd00:1::1')
    })
    expect(pings(container, '10.200.1.1')).toBe(true)
    expect(pings(container, 'fd00:1::1')).toBe(true)
  })

  test('isolation stands before a bridge that was taken away with the rules is up again', async () => {
    const { container: one } = await lab.plug(lab.network(1), 2)
    const { container: two } = await lab.plug(lab.network(2), 2)
    ip('link', 'del', 'br-lab1')
    nft('flush', 'ruleset')
    await comesBack('the bridge', () => pings(one, '10.200.1.1'))
    expect(nft('list', 'table', 'inet', 'lab')).toContain('br-lab1')
    expect(pings(two, '10.200.1.2')).toBe(false)
  })

  test('but no network that was removed, however often it is while the watch looks', async () => {
    for (let round = 0; round < 10; round++) {
      const red = lab.network(1)
      await lab.kernel.ensure(red)
      ip('link', 'del', 'br-lab1')
      await Promise.all([lab.kernel.ensure(lab.network(2)), lab.kernel.remove(red)])
    }
    ending.abort()
    await lab.kernel.settled()
    expect(ip('-o', 'link')).not.toContain('br-lab1')
    expect(nft('list', 'table', 'inet', 'lab')).not.toContain('br-lab1')
  })

  test('but not what the model itself took away, nor the cable of a container that ended', async () => {
    const red = lab.network(1)
    const { container, plug } = await lab.plug(red, 2)
    const { container: other } = await lab.plug(red, 3)
    await lab.kernel.unplug(plug)
    await other.end()
    ip('addr', 'flush', 'dev', 'br-lab1')
    await comesBack('the address', () => ip('addr', 'show', 'br-lab1').includes('10.200.1.1'))
    expect(container.run('ip', '-o', 'link')).not.toContain('eth0')
    expect(ip('-o', 'link')).not.toMatch(/ c[12][@:]/)
  })
})

test('F47: an internal network stays closed while there are no rules at all', async () => {
  ending.abort()
  const { container } = await lab.plug(lab.network(1, { isInternal: true }), 2)
  lab.neighbour.run('ip', 'route', 'add', '10.200.1.0/24', 'via', HOST.ipv4)
  nft('flush', 'ruleset')
  expect(pings(container, NEIGHBOUR.ipv4)).toBe(false)
  expect(pings(lab.neighbour, '10.200.1.2')).toBe(false)
})
