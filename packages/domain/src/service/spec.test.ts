import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { NAME_PATTERN, type ServiceSpecInput, serviceSpecSchema } from './spec.js'

const smallest = { name: 'web', task: { image: 'demo/web:1' } }
const withTask = (task: Record<string, unknown>) => ({ ...smallest, task: { ...smallest.task, ...task } })

/** Pointers of everything wrong with a spec, unknown keys by their full path. */
function mistakes(input: unknown): readonly string[] {
  const result = serviceSpecSchema.safeParse(input)
  if (result.success) return []
  return result.error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => `/${[...issue.path, key].join('/')}`)
      : [`/${issue.path.join('/')}`],
  )
}

test('a name and an image are enough, and every default is filled in', () => {
  expect(serviceSpecSchema.parse(smallest)).toEqual({
    name: 'web',
    labels: {},
    replicas: 1,
    task: {
      image: 'demo/web:1',
      env: {},
      labels: {},
      readOnlyRootfs: false,
      stopTimeoutMs: 10_000,
      pidsMax: 2048,
      reservations: { cpuNanos: 0, memoryBytes: 0 },
      limits: { cpuNanos: 0, memoryBytes: 0 },
    },
    ports: [],
    restart: { condition: 'any', delayMs: 5_000, maxAttempts: 0, windowMs: 0 },
    update: { parallelism: 1, delayMs: 0, order: 'start-first', monitorMs: 2_000, onFailure: 'rollback' },
    placement: { constraints: [], replicasPerNodeMax: 0 },
  })
})

test('defaults of one parse are never shared with the next', () => {
  const one = serviceSpecSchema.parse(smallest)
  one.task.env.LEAK = 'yes'
  one.ports.push({ targetPort: 1, publishedPort: 1, protocol: 'tcp', mode: 'node' })
  one.task.reservations.cpuNanos = 7
  one.placement.constraints.push('x')
  const two = serviceSpecSchema.parse(smallest)
  expect([two.task.env, two.ports, two.task.reservations.cpuNanos, two.placement.constraints]).toEqual([
    {},
    [],
    0,
    [],
  ])
})

test('parsing what was parsed changes nothing', () => {
  const once = serviceSpecSchema.parse({
    ...smallest,
    ports: [{ targetPort: 80, publishedPort: 8080 }],
    restart: { condition: 'none' },
  })
  expect(serviceSpecSchema.parse(JSON.parse(JSON.stringify(once)))).toEqual(once)
})

describe('an unknown key is refused where it stands', () => {
  test.each([
    ['the top', { ...smallest, replica: 3 }, '/replica'],
    ['the task', withTask({ privileged: true }), '/task/privileged'],
    ['limits', withTask({ limits: { cpus: 1 } }), '/task/limits/cpus'],
    [
      'a port',
      { ...smallest, ports: [{ targetPort: 1, publishedPort: 1, hostIp: '::' }] },
      '/ports/0/hostIp',
    ],
    ['restart', { ...smallest, restart: { delay: 1 } }, '/restart/delay'],
    ['update', { ...smallest, update: { paralellism: 1 } }, '/update/paralellism'],
    ['placement', { ...smallest, placement: { max: 1 } }, '/placement/max'],
  ])('in %s', (_where, input, pointer) => expect(mistakes(input)).toContain(pointer))

  test('anywhere, whatever it is called', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z]{1,12}$/), (key) => {
        fc.pre(!(key in serviceSpecSchema.parse(smallest)))
        expect(mistakes({ ...smallest, [key]: 1 })).toEqual([`/${key}`])
      }),
    )
  })
})

describe('names', () => {
  test.each(['web', 'Web_1', 'a', '0', 'a.b-c_d', 'x'.repeat(63)])('%s is a name', (name) =>
    expect(mistakes({ ...smallest, name })).toEqual([]),
  )
  test.each([
    '',
    '..',
    '../etc',
    '../../etc/passwd',
    'a/b',
    'a/../b',
    '.hidden',
    '-flag',
    '_x',
    'a b',
    'a\nb',
    'web\n',
    'web\0',
    'ümlaut',
    'x'.repeat(64),
  ])('%j is refused as a name', (name) => expect(mistakes({ ...smallest, name })).toEqual(['/name']))

  test('no accepted name can leave a directory or become an option', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z./_-]{1,10}$/)), (name) => {
        fc.pre(NAME_PATTERN.test(name))
        expect(name).not.toMatch(/[/\\\0\s]|^[.-]/)
        expect(name.length).toBeLessThanOrEqual(63)
      }),
    )
  })
})

describe('ports', () => {
  const port = (publishedPort: unknown, targetPort: unknown = 80, more = {}) => ({
    ...smallest,
    ports: [{ publishedPort, targetPort, ...more }],
  })
  test.each([0, -1, 65_536, 80.5, '80', null])('published port %j is refused', (value) =>
    expect(mistakes(port(value))).toEqual(['/ports/0/publishedPort']),
  )
  test.each([0, 65_536])('target port %j is refused', (value) =>
    expect(mistakes(port(80, value))).toEqual(['/ports/0/targetPort']),
  )
  test.each([1, 80, 65_535])('port %j is taken', (value) => expect(mistakes(port(value, value))).toEqual([]))
  test.each([
    ['protocol', 'sctp'],
    ['mode', 'ingress'],
  ])('%s %s is refused', (key, value) =>
    expect(mistakes(port(80, 80, { [key]: value }))).toEqual([`/ports/0/${key}`]),
  )

  test('the same published port twice is refused at the second, the same number over udp is not', () => {
    const two = (protocol: string) => ({
      ...smallest,
      ports: [
        { targetPort: 80, publishedPort: 80 },
        { targetPort: 81, publishedPort: 80, protocol },
      ],
    })
    expect(mistakes(two('tcp'))).toEqual(['/ports/1/publishedPort'])
    expect(mistakes(two('udp'))).toEqual([])
  })
})

describe('numbers and texts out of bounds are refused', () => {
  test.each<[string, unknown, string]>([
    ['negative replicas', { ...smallest, replicas: -1 }, '/replicas'],
    ['half a replica', { ...smallest, replicas: 1.5 }, '/replicas'],
    ['too many replicas', { ...smallest, replicas: 10_001 }, '/replicas'],
    ['replicas as text', { ...smallest, replicas: '3' }, '/replicas'],
    ['no image', withTask({ image: '' }), '/task/image'],
    ['no processes', withTask({ pidsMax: 0 }), '/task/pidsMax'],
    ['negative memory', withTask({ limits: { memoryBytes: -1 } }), '/task/limits/memoryBytes'],
    ['a NUL in an argument', withTask({ command: ['a', 'b\0c'] }), '/task/command/1'],
    ['a NUL in a value', withTask({ env: { A: '\0' } }), '/task/env/A'],
    ['an argument above the kernel’s limit', withTask({ command: ['x'.repeat(131_073)] }), '/task/command/0'],
    ['a signal by number', withTask({ stopSignal: '9' }), '/task/stopSignal'],
    [
      'a constraint of another shape',
      { ...smallest, placement: { constraints: ['zone==a'] } },
      '/placement/constraints/0',
    ],
    ['an unknown order', { ...smallest, update: { order: 'both' } }, '/update/order'],
  ])('%s', (_name, input, pointer) => expect(mistakes(input)).toContain(pointer))

  test.each(['A=B', '', 'A\0'])('environment name %j is refused', (name) =>
    expect(mistakes(withTask({ env: { [name]: 'x' } }))).not.toEqual([]),
  )
  test('a variable called like a property of every object stays a variable', () => {
    const env = JSON.parse('{"toString":"1","constructor":"2"}') as Record<string, string>
    expect(serviceSpecSchema.parse(withTask({ env })).task.env).toEqual({ toString: '1', constructor: '2' })
  })
})

test('the input type asks for no defaults', () => {
  const input: ServiceSpecInput = smallest
  expect(mistakes(input)).toEqual([])
})
