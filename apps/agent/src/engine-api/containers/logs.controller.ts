import { fault } from '@berth/core'
import { type AnswerStream, type Call, frame, parseTimeNanos, type Route } from '@berth/engine-api'
import type { LogEntry, LogOptions } from '@berth/runtime'
import { streamType } from './attach.controller.js'
import { type ContainerView, environmentOf, labelsOf } from './container-view.js'
import { type ContainerEndpointDeps, endpoint, onContainer, viewOf } from './endpoint.js'
import { type LogStyle, logDetails, logLine, parseTail } from './log-line.js'
import { refuse } from './refuse.js'
import { sentBody } from './sent-body.js'

const NANOS_PER_MS = 1_000_000n

export function logRoutes(deps: ContainerEndpointDeps): readonly Route[] {
  return [endpoint('GET', '/containers/{id}/logs', (call) => logs(deps, call))]
}

async function logs(deps: ContainerEndpointDeps, call: Call): Promise<void> {
  const { query } = call
  const options = logOptions(call, deps.clock.nowMs())
  if (!options.stdout && !options.stderr) throw refuse('Bad parameters: you must choose at least one stream')
  await onContainer(deps, call, undefined, async (container) => {
    const { id, spec } = container
    if (spec.log?.driver === 'none')
      throw fault.unimplemented(
        'engine.logs_unreadable',
        'configured logging driver does not support reading',
      )
    const entries = deps.runtime.containers.logs(id, options)
    const stream = call.stream(streamType(call, !spec.tty))
    const style = {
      isTimestamped: query.bool('timestamps'),
      details: query.bool('details') ? detailsOf(await viewOf(deps.runtime, container)) : undefined,
    }
    await writeEntries(stream, entries, style, spec.tty ?? false)
  })
}

function detailsOf(view: ContainerView): string {
  const { LogConfig } = sentBody(view.container.spec).host as { LogConfig?: { Config?: object | null } }
  return logDetails({ ...LogConfig?.Config }, labelsOf(view), environmentOf(view))
}

function logOptions({ query, signal }: Call, nowMs: number): LogOptions {
  const milliseconds = (name: string) => {
    const nanos = parseTimeNanos(query.string(name), nowMs)
    return nanos === undefined ? undefined : Number(nanos / NANOS_PER_MS)
  }
  const [sinceMs, untilMs, tail] = [
    milliseconds('since'),
    milliseconds('until'),
    parseTail(query.string('tail')),
  ]
  return {
    signal,
    follow: query.bool('follow'),
    stdout: query.bool('stdout'),
    stderr: query.bool('stderr'),
    ...(sinceMs === undefined ? {} : { sinceMs }),
    ...(untilMs === undefined ? {} : { untilMs }),
    ...(tail === undefined ? {} : { tail }),
  }
}

async function writeEntries(
  stream: AnswerStream,
  entries: AsyncIterable<LogEntry>,
  style: LogStyle,
  isTerminal: boolean,
): Promise<void> {
  for await (const entry of entries) {
    const line = logLine(entry, style)
    await stream.write(isTerminal ? line : frame(entry.stream, line))
  }
  await stream.end()
}
