import { afterAll, beforeAll, expect, test } from 'vitest'
import { gather } from '../testing/gather.js'
import { buildTinyImage, openTestRuntime, type TestRuntime } from '../testing/index.js'

/** More than a bridge has ports for (1,023) where it is worth the time. */
const CONTAINERS = Number(process.env.BERTH_NAMES_CONTAINERS ?? 40)
const WIDE = { bridge: `bt-names${process.pid}`.slice(0, 15), subnet: '10.77.0.0/16' }
const AT_ONCE = 8
const MINUTES = 60_000

let host: TestRuntime
beforeAll(async () => {
  host = await openTestRuntime(CONTAINERS > 200 ? { network: WIDE } : {})
  await buildTinyImage(host.runtime)
})
afterAll(() => host?.dispose(), 10 * MINUTES)

const nameOf = (at: number): string => `c${(at + CONTAINERS) % CONTAINERS}`
const all = Array.from({ length: CONTAINERS }, (_, at) => at)

async function each(work: (at: number) => Promise<unknown>): Promise<void> {
  const left = [...all]
  const failures: unknown[] = []
  const next = async () => {
    for (let at = left.shift(); at !== undefined; at = left.shift())
      await work(at).catch((error: unknown) => {
        left.length = 0
        failures.push(error)
      })
  }
  await Promise.all(Array.from({ length: AT_ONCE }, next))
  if (failures.length > 0) throw failures[0]
}

async function run(name: string, script: string): Promise<string> {
  const { containers } = host.runtime
  const { id } = await containers.inspect(name)
  const exec = await containers.execs.create(id, { argv: ['sh', '-c', script] })
  const attachment = await containers.execs.start(exec.id)
  return (await gather(attachment?.output)).stdout.trim()
}

/** The address that a name has, once what is to listen there answers; else why it does not. */
const FIND = (name: string) => `
ip=$(nslookup -type=a ${name} | sed -n 's/^Address: //p' | tail -1)
for try in 1 2 3 4 5; do
  why=$(wget -O /dev/null http://$ip:8080/hostname 2>&1) && echo $ip && break
  [ $try = 5 ] && echo "${name} at [$ip]: $why"
  sleep 0.2
done`

test(
  `${CONTAINERS} containers of the default network answer each other by name (BERTH_NAMES_CONTAINERS)`,
  async () => {
    const { containers } = host.runtime
    await each((at) =>
      containers
        .create({
          name: nameOf(at),
          image: 'tiny:1',
          command: ['httpd', '-f', '-p', '8080', '-h', '/etc'],
          init: false,
        })
        .then(({ id }) => containers.start(id)),
    )
    const addresses = new Map(
      (await containers.list()).map(({ spec, ipAddress }) => [spec.name, ipAddress ?? '']),
    )
    expect(new Set(addresses.values()).size).toBe(CONTAINERS)
    await each(async (at) =>
      expect(await run(nameOf(at), FIND(nameOf(at + 1)))).toBe(addresses.get(nameOf(at + 1))),
    )
    for (const asker of [nameOf(0), nameOf(-1)]) {
      const found = await run(
        asker,
        `at=0; while [ $at -lt ${CONTAINERS} ]; do ${FIND('c$at')}; at=$((at+1)); done`,
      )
      expect(found.split('\n')).toEqual(all.map((at) => addresses.get(nameOf(at))))
    }
  },
  30 * MINUTES,
)
