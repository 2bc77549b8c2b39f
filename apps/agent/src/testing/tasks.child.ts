import { silentLogger } from '@berth/core'
import type { RuntimeOptions } from '@berth/runtime'
import { assignmentSet } from '../assignments/assignment-set.js'
import { startTasks } from './test-tasks.js'

/** A process that makes tasks follow the assignments on the disk, until it is killed. */
const options = JSON.parse(process.argv[2] ?? '{}') as Omit<RuntimeOptions, 'logger'>
const agent = await startTasks({ ...options, logger: silentLogger })
agent.tasks.apply(assignmentSet(agent.store.assignments()))
setInterval(() => {}, 60_000)
