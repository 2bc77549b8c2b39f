import { TaskStatus } from '@berth/proto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { EMPTY_PLAN, isEmpty } from '../orchestrator/plan.js'
import { planReplicated } from '../orchestrator/replicated/plan.js'
import { planPlacement } from '../scheduler/place.js'
import { aSpec } from '../testing/builders.js'
import { aDatabase, type StoreFixture } from '../testing/database.js'
import { AssignmentStore } from './assignment.store.js'
import { NodeWriteStore } from './node-write.store.js'
import { PlanApplyStore } from './plan-apply.store.js'
import { ServiceStore } from './service.store.js'
import { ViewStore } from './view.store.js'

let fixture: StoreFixture
let plans: PlanApplyStore
let views: ViewStore
let services: ServiceStore
let nodes: NodeWriteStore
beforeAll(async () => {
  fixture = await aDatabase()
  plans = new PlanApplyStore(fixture.database)
  views = new ViewStore(fixture.database)
  services = new ServiceStore(fixture.database)
  nodes = new NodeWriteStore(fixture.database)
})
afterAll(() => fixture.dispose())
beforeEach(async () => {
  await fixture.database.query('TRUNCATE service, node, outbox, leader_lease CASCADE')
  await fixture.database.query(`INSERT INTO leader_lease VALUES (1, 'test', 7, now() + interval '1 hour')`)
  await fixture.database.query(
    `INSERT INTO node (id, name, "machineId", state, "cpuNanos", "memoryBytes") VALUES
       ('a', 'server-a', 'ma', 'ready', 8000000000, 17179869184), ('b', 'server-b', 'mb', 'ready', 8000000000, 17179869184)`,
  )
})

const IMAGE = `berth.internal/demo/web@sha256:${'a'.repeat(64)}`
const ask = (sql: string, values: readonly unknown[] = []) => fixture.database.query(sql, values)
const tasks = () =>
  ask(
    'SELECT id, slot, state, "desiredState", "nodeId", "releaseNumber" FROM task ORDER BY slot, "createdAt", id',
  )
const count = async (table: string) => Number((await ask(`SELECT count(*) AS n FROM ${table}`))[0]?.n)

async function orchestrate(): Promise<boolean> {
  const plan = planReplicated(await views.load(), Date.now() + 100_000)
  if (isEmpty(plan)) return false
  await plans.applyOrchestration(plan, 7n)
  return true
}
const schedule = async () => plans.applyPlacement(planPlacement(await views.load(), Date.now() + 100_000), 7n)

/** Every node reports a state for each of its tasks that are not over. */
async function report(state: string, only: string = 'running'): Promise<void> {
  for (const id of ['a', 'b']) {
    const mine = (await tasks()).filter((task) => task.nodeId === id && task.desiredState === only)
    await nodes.report(
      id,
      mine.map((task) => TaskStatus.fromPartial({ taskId: String(task.id), state })),
    )
  }
}

test('load, plan, apply: a service is made real, and the same round again has nothing to do', async () => {
  await services.create(aSpec({ replicas: 4 }), IMAGE, 'admin')
  expect(await orchestrate()).toBe(true)
  expect(await orchestrate()).toBe(false)
  await schedule()
  expect((await tasks()).map((task) => [task.slot, task.state, task.nodeId])).toEqual([
    [1, 'assigned', 'a'],
    [2, 'assigned', 'b'],
    [3, 'assigned', 'a'],
    [4, 'assigned', 'b'],
  ])
  expect(await orchestrate()).toBe(false)
})

test('a plan of an epoch that leads no more writes nothing at all', async () => {
  await services.create(aSpec({ replicas: 2 }), IMAGE, 'admin')
  const plan = planReplicated(await views.load(), 0)
  const outbox = await count('outbox')
  for (const epoch of [6n, 8n])
    await expect(plans.applyOrchestration(plan, epoch)).rejects.toMatchObject({ code: 'leader.lost' })
  await expect(plans.applyPlacement({ placed: [], unplaceable: [] }, 6n)).rejects.toMatchObject({
    code: 'leader.lost',
  })
  await expect(plans.reap(6n)).rejects.toMatchObject({ code: 'leader.lost' })
  expect([await count('task'), await count('outbox')]).toEqual([0, outbox])
})

test('a placement applied twice, or after the task was stopped, changes nothing more', async () => {
  await services.create(aSpec({ replicas: 2 }), IMAGE, 'admin')
  await orchestrate()
  const plan = planPlacement(await views.load(), Date.now() + 100_000)
  const [first] = plan.placed
  await ask(`UPDATE task SET "desiredState" = 'shutdown', state = 'shutdown' WHERE id = $1`, [first?.taskId])
  await plans.applyPlacement(plan, 7n)
  const once = await tasks()
  expect(once.find((task) => task.id === first?.taskId)).toMatchObject({ nodeId: null, state: 'shutdown' })
  await plans.applyPlacement({ ...plan, placed: plan.placed.map((item) => ({ ...item, nodeId: 'b' })) }, 7n)
  expect(await tasks()).toEqual(once)
})

test('a task without a node that is stopped is over at once, one on a node when the node says so', async () => {
  await services.create(aSpec({ replicas: 2 }), IMAGE, 'admin')
  await orchestrate()
  const [first, second] = await tasks()
  await ask(`UPDATE task SET "nodeId" = 'a', state = 'running' WHERE id = $1`, [first?.id])
  await plans.applyOrchestration({ ...EMPTY_PLAN, shutdown: [String(first?.id), String(second?.id)] }, 7n)
  expect((await tasks()).map((task) => [task.state, task.desiredState])).toEqual([
    ['running', 'shutdown'],
    ['shutdown', 'shutdown'],
  ])
})

test('orphaning does not rewrite how a task ended in the meantime', async () => {
  await services.create(aSpec(), IMAGE, 'admin')
  await orchestrate()
  await schedule()
  const [task] = await tasks()
  await report('complete')
  await plans.applyOrchestration({ ...EMPTY_PLAN, orphan: [String(task?.id)] }, 7n)
  expect(await tasks()).toMatchObject([{ state: 'complete' }])
  await orchestrate()
  expect((await tasks())[0]).toMatchObject({ state: 'complete', desiredState: 'shutdown' })
})

describe('verdicts', () => {
  const failing = async () => {
    await services.create(aSpec({ replicas: 3, labels: { v: '1' } }), IMAGE, 'admin')
    await orchestrate()
    await ask(`UPDATE deployment SET state = 'succeeded'`)
    await services.update('web', (spec) => ({ ...spec, labels: { v: '2' } }), IMAGE, undefined, 'admin')
    const view = await views.load()
    const [service] = view.services
    return {
      ...EMPTY_PLAN,
      verdicts: [
        { deploymentId: service?.deployment?.id ?? '', state: 'rolled_back' as const, message: 'why' },
      ],
      rollbacks: [
        { serviceId: service?.id ?? '', toReleaseId: service?.deployment?.previousReleaseId ?? '' },
      ],
    }
  }
  const wanted = async () =>
    (
      await ask(`SELECT "releaseNumber" AS n, spec->'labels'->>'v' AS v, spec->>'replicas' AS r FROM service`)
    )[0]

  test('a rollback wants the earlier release again and keeps the count asked for since', async () => {
    const plan = await failing()
    await services.update('web', (spec) => ({ ...spec, replicas: 5 }), undefined, undefined, 'admin')
    await plans.applyOrchestration(plan, 7n)
    expect(await wanted()).toEqual({ n: 1, v: '1', r: '5' })
    expect((await views.load()).services[0]?.deployment).toBeUndefined()
  })

  test('a rollback decided before a newer deploy does not undo that deploy', async () => {
    const plan = await failing()
    await services.update('web', (spec) => ({ ...spec, labels: { v: '3' } }), IMAGE, undefined, 'admin')
    await plans.applyOrchestration(plan, 7n)
    expect(await wanted()).toMatchObject({ n: 3, v: '3' })
    const states = await ask('SELECT state FROM deployment ORDER BY "releaseNumber"')
    expect(states.map((row) => row.state)).toEqual(['succeeded', 'superseded', 'rolling'])
  })

  test('a rollback takes back the ports of the earlier release', async () => {
    const port = (publishedPort: number) => aSpec({ ports: [{ targetPort: 80, publishedPort }] }).ports
    await services.create(aSpec({ ports: port(80) }), IMAGE, 'admin')
    await ask(`UPDATE deployment SET state = 'succeeded'`)
    await services.update('web', (spec) => ({ ...spec, ports: port(81) }), IMAGE, undefined, 'admin')
    const [service] = (await views.load()).services
    await plans.applyOrchestration(
      {
        ...EMPTY_PLAN,
        verdicts: [{ deploymentId: service?.deployment?.id ?? '', state: 'rolled_back', message: '' }],
        rollbacks: [
          { serviceId: service?.id ?? '', toReleaseId: service?.deployment?.previousReleaseId ?? '' },
        ],
      },
      7n,
    )
    expect(await ask('SELECT port FROM published_port')).toEqual([{ port: 80 }])
  })
})

test('a removed service is gone with its tasks once they are over, and not before', async () => {
  await services.create(aSpec({ replicas: 2 }), IMAGE, 'admin')
  await orchestrate()
  await schedule()
  await report('running')
  await services.remove('web', 'admin')
  await orchestrate()
  expect(await count('service')).toBe(1)
  await report('shutdown', 'shutdown')
  await orchestrate()
  expect([await count('service'), await count('task'), await count('release')]).toEqual([0, 0, 0])
})

describe('reaping', () => {
  const dead = (n: number, state = 'failed') =>
    ask(
      `INSERT INTO task (id, "serviceId", slot, "releaseId", "releaseNumber", state, "desiredState", "createdAt")
       SELECT 't' || i, s.id, 1, s."releaseId", 1, $2, 'shutdown', now() - make_interval(mins => 100 - i) FROM service s, generate_series(1, $1) i`,
      [n, state],
    )

  test('keeps the five newest ended tasks of a slot and everything that lives', async () => {
    await services.create(aSpec(), IMAGE, 'admin')
    await orchestrate()
    await dead(9, 'shutdown')
    await plans.reap(7n)
    const left = await tasks()
    expect(left.map((task) => task.id).filter((id) => /^t\d$/.test(String(id)))).toEqual([
      't5',
      't6',
      't7',
      't8',
      't9',
    ])
    expect(left.filter((task) => task.state === 'new')).toHaveLength(1)
  })

  test('keeps as many failures as the restart policy has to count', async () => {
    await services.create(aSpec({ restart: { maxAttempts: 8 } }), IMAGE, 'admin')
    await dead(9)
    await plans.reap(7n)
    expect(await count('task')).toBe(9)
    expect(
      planReplicated(await views.load(), Date.now()).create,
      'nine failures are one more than allowed',
    ).toEqual([])
  })
})

describe('reports of nodes', () => {
  const running = async () => {
    await services.create(aSpec({ replicas: 2 }), IMAGE, 'admin')
    await orchestrate()
    await schedule()
    return (await tasks()).map((task) => String(task.id))
  }
  const states = async () => (await tasks()).map((task) => task.state)

  test('states only go up, whatever order reports arrive in, and a repeated one changes no time', async () => {
    const [id = ''] = await running()
    const say = (state: string) => nodes.report('a', [TaskStatus.fromPartial({ taskId: id, state })])
    for (const state of ['preparing', 'running', 'starting', 'assigned']) await say(state)
    expect((await states())[0]).toBe('running')
    const since = () => ask('SELECT "stateSince" AS at FROM task WHERE id = $1', [id])
    const before = await since()
    await say('running')
    expect(await since()).toEqual(before)
    for (const state of ['failed', 'running', 'complete']) await say(state)
    expect((await states())[0]).toBe('failed')
  })

  test('a node speaks only for its own tasks, and unknown ones or words are dropped', async () => {
    const [first = ''] = await running()
    await nodes.report('b', [TaskStatus.fromPartial({ taskId: first, state: 'failed' })])
    await nodes.report('a', [TaskStatus.fromPartial({ taskId: 'nope', state: 'failed' })])
    await nodes.report('a', [TaskStatus.fromPartial({ taskId: first, state: 'exploded' })])
    expect(await states()).toEqual(['assigned', 'assigned'])
  })

  test('one batch may say two things of one task: the higher one holds', async () => {
    const [first = ''] = await running()
    await nodes.report('a', [
      TaskStatus.fromPartial({ taskId: first, state: 'failed', exitCode: 3 }),
      TaskStatus.fromPartial({ taskId: first, state: 'running' }),
    ])
    expect((await states())[0]).toBe('failed')
  })

  test('an orphaned task stays orphaned when its node is back, and is in its full set no more', async () => {
    const [first = ''] = await running()
    await plans.applyOrchestration({ ...EMPTY_PLAN, orphan: [first] }, 7n)
    await nodes.report('a', [TaskStatus.fromPartial({ taskId: first, state: 'running' })])
    expect((await states())[0]).toBe('orphaned')
    const set = await new AssignmentStore(fixture.database).load(['a', 'b'])
    expect(set.get('a')).toEqual([])
    expect(set.get('b')).toHaveLength(1)
  })

  test('removing a node ends its living tasks and rewrites no history', async () => {
    const [first = '', second = ''] = await running()
    await ask(`UPDATE task SET "nodeId" = 'a' WHERE id = $1`, [second])
    await nodes.report('a', [TaskStatus.fromPartial({ taskId: first, state: 'failed' })])
    await expect(nodes.remove('server-a')).rejects.toMatchObject({ code: 'node.not_down' })
    await nodes.setState(['a'], 'down')
    await nodes.remove('server-a')
    expect(await tasks()).toMatchObject([
      { state: 'failed', nodeId: null },
      { state: 'orphaned', desiredState: 'shutdown', nodeId: null },
    ])
  })
})
