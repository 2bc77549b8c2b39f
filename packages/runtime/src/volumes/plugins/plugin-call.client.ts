import { request } from 'node:http'
import { Fault, fault } from '@berth/core'
import { type PluginAddress, shownAddress } from './plugin-address.js'
import { answerOf, type PluginAnswer } from './plugin-messages.js'

const MEDIA_TYPE = 'application/vnd.docker.plugins.v1.2+json'
const ANSWER_MAX_BYTES = 16 * 1024 * 1024

export interface PluginCall {
  readonly plugin: string
  readonly address: PluginAddress
  /** e.g. `VolumeDriver.Mount`. */
  readonly method: string
  readonly body?: unknown
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

/**
 * One call of docker's plugin protocol: a POST on a connection of its own.
 * @throws volume.plugin_unreachable when nobody listens, volume.plugin_silent after the time, volume.plugin_failed with the plugin's words
 */
export async function callPlugin(call: PluginCall): Promise<PluginAnswer> {
  const deadline = AbortSignal.timeout(call.timeoutMs)
  const signal = call.signal ? AbortSignal.any([call.signal, deadline]) : deadline
  try {
    const { status, text } = await post(call, signal)
    return answerOf(call, status, text)
  } catch (error) {
    if (Fault.is(error)) throw error
    if (call.signal?.aborted)
      throw fault.cancelled('cancelled', 'the operation was cancelled by its caller', { cause: error })
    if (deadline.aborted) throw silent(call, error)
    throw unreachable(call, error)
  }
}

function post(
  { address, method, body = {} }: PluginCall,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly text: string }> {
  const target =
    address.kind === 'unix' ? { socketPath: address.path } : { host: address.host, port: address.port }
  const bytes = Buffer.from(JSON.stringify(body))
  return new Promise((resolve, reject) => {
    const headers = {
      Host: 'plugin',
      Accept: MEDIA_TYPE,
      'Content-Type': MEDIA_TYPE,
      'Content-Length': bytes.length,
      Connection: 'close',
    }
    const sent = request({ ...target, method: 'POST', path: `/${method}`, headers, signal, agent: false })
    sent.once('error', reject)
    sent.once('response', (response) => {
      const chunks: Buffer[] = []
      let length = 0
      response.on('data', (chunk: Buffer) => {
        length += chunk.length
        if (length > ANSWER_MAX_BYTES) sent.destroy(new Error('its answer is longer than 16 MiB'))
        else chunks.push(chunk)
      })
      response.once('error', reject)
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
      )
    })
    sent.end(bytes)
  })
}

function unreachable({ plugin, address, method }: PluginCall, cause: unknown): Fault {
  const why = (cause as NodeJS.ErrnoException).code ?? (cause as Error).message
  return fault.unavailable(
    'volume.plugin_unreachable',
    `volume plugin "${plugin}" does not answer ${method} at ${shownAddress(address)} (${why}): start the plugin and try again`,
    { params: { plugin }, cause },
  )
}

const silent = ({ plugin, address, method, timeoutMs }: PluginCall, cause: unknown): Fault =>
  fault.deadlineExceeded(
    'volume.plugin_silent',
    `volume plugin "${plugin}" at ${shownAddress(address)} did not answer ${method} within ${timeoutMs / 1000} s: look at the plugin`,
    { params: { plugin }, cause },
  )
