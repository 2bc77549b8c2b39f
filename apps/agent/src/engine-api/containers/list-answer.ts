import { unixSeconds } from '@berth/engine-api'
import type { RuntimeInfo } from '@berth/runtime'
import { type ContainerView, commandLine, imageName, labelsOf, networkMode } from './container-view.js'
import type { ContainerSizes } from './inspect-answer.js'
import { mountAnswers } from './mount-answer.js'
import { endpoints, portSummaries } from './network-answer.js'
import { stateName, statusText } from './status-text.js'

/** One line of `docker ps`. */
export function summaryAnswer(
  view: ContainerView,
  host: RuntimeInfo,
  nowMs: number,
  sizes?: ContainerSizes,
): object {
  const { container } = view
  return {
    Id: container.id,
    Names: [`/${container.spec.name}`],
    Image: imageName(view),
    ImageID: container.imageId,
    Command: commandLine(view),
    Created: unixSeconds(container.createdAt),
    Ports: portSummaries(view),
    ...(sizes ? { SizeRw: sizes.writtenBytes, SizeRootFs: sizes.rootBytes } : {}),
    Labels: labelsOf(view),
    State: stateName(container),
    Status: statusText(container, nowMs),
    HostConfig: { NetworkMode: networkMode(container.spec) },
    NetworkSettings: { Networks: endpoints(container, host) },
    Mounts: mountAnswers(container),
  }
}
