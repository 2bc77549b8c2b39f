import { type ContainerId, failpoint, fault } from '@berth/core'
import type { ContainerInfo, ContainerResources, ContainerUpdate } from '../api.js'
import { hostCapacity } from '../host/grants.exec.js'
import { checkResources } from '../oci/check-resources.js'
import { type ContainerRow, info } from './containers.store.js'
import type { ContainerEngine } from './engine.exec.js'
import { checkSpec, isUp } from './lifecycle.js'
import { applyLimits } from './limits.exec.js'

/** Within a turn. @throws container.name_taken, container.spec_invalid */
export async function renameContainer(
  engine: ContainerEngine,
  id: ContainerId,
  name: string,
): Promise<ContainerInfo> {
  const { store } = engine.deps
  const { spec } = store.get(id)
  const renamed = { ...spec, name }
  checkSpec(renamed)
  store.assertNameFree(name)
  const row = store.update(id, { spec: renamed })
  engine.emit('rename', row, { oldName: `/${spec.name}` })
  return info(row)
}

/**
 * Within a turn. What runs gets its new limits when they have been written down, after a crash when it is adopted; what the kernel refuses is
 * as before.
 * @throws container.spec_invalid, container.limit_refused
 */
export async function updateContainer(
  engine: ContainerEngine,
  id: ContainerId,
  change: ContainerUpdate,
): Promise<ContainerInfo> {
  const { store } = engine.deps
  engine.settle(id)
  const row = store.get(id)
  const spec = {
    ...row.spec,
    ...(change.restart ? { restart: change.restart } : {}),
    ...(change.resources ? { resources: { ...row.spec.resources, ...given(change.resources) } } : {}),
  }
  checkSpec(spec)
  checkResources(spec.resources ?? {}, hostCapacity())
  if (change.resources) checkLive(row, change.resources)
  const updated = store.update(id, { spec })
  try {
    await failpoint('container.update.after_row')
    if (change.resources && isUp(row)) applyLimits(engine.runs.cgroup(row), spec.resources ?? {})
  } catch (error) {
    store.update(id, { spec: row.spec })
    throw error
  }
  engine.emit('update', updated)
  return info(updated)
}

/** Fields that are there with the value `undefined` are absent. */
const given = (resources: ContainerResources): ContainerResources =>
  Object.fromEntries(Object.entries(resources).filter(([, value]) => value !== undefined))

/** What a kernel cannot change under a running process. */
function checkLive(row: ContainerRow, { oomKillDisable }: ContainerResources): void {
  if (!isUp(row) || oomKillDisable === undefined) return
  if (oomKillDisable !== (row.spec.resources?.oomKillDisable ?? false))
    throw fault.invalidArgument(
      'container.spec_invalid',
      `container ${row.spec.name}: whether the OOM killer spares it cannot be changed while it runs`,
    )
}
