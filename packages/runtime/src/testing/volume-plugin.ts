import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { dirname } from 'node:path'

export interface TestPluginOptions {
  readonly socket: string
  /** Where its volumes are directories. */
  readonly dir: string
  readonly implements?: readonly string[]
}

/** A volume plugin that keeps each volume in a directory, in docker's protocol. It lives as long as the process, or until `stop`. */
export interface TestPlugin {
  /** Method and volume of each call, in order. */
  readonly calls: string[]
  /** Volume → ids it is mounted for. */
  readonly mounted: ReadonlyMap<string, ReadonlySet<string>>
  /** The next calls of a method answer with this error; undefined ends that. */
  fail(method: string, error: string | undefined): void
  /** The next calls of a method are never answered. */
  hang(method: string): void
  stop(): Promise<void>
}

interface Asked {
  readonly Name?: string
  readonly ID?: string
  readonly Opts?: Readonly<Record<string, string>> | null
}

export async function startTestPlugin(options: TestPluginOptions): Promise<TestPlugin> {
  const state = new PluginState(options)
  const server = createServer((request, response) => void state.serve(request, response))
  mkdirSync(dirname(options.socket), { recursive: true })
  mkdirSync(options.dir, { recursive: true })
  rmSync(options.socket, { force: true })
  await new Promise<void>((resolve) => server.listen(options.socket, resolve))
  return {
    calls: state.calls,
    mounted: state.mounted,
    fail: (method, error) =>
      void (error === undefined ? state.errors.delete(method) : state.errors.set(method, error)),
    hang: (method) => void state.hanging.add(method),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

class PluginState {
  readonly calls: string[] = []
  readonly mounted = new Map<string, Set<string>>()
  readonly errors = new Map<string, string>()
  readonly hanging = new Set<string>()
  private readonly options = new Map<string, Readonly<Record<string, string>>>()

  constructor(private readonly setting: TestPluginOptions) {}

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = ''
    for await (const chunk of request) text += String(chunk)
    const method = (request.url ?? '').replace(/^\/(?:VolumeDriver\.)?/, '')
    const asked = JSON.parse(text || '{}') as Asked
    this.calls.push(asked.Name ? `${method} ${asked.Name}` : method)
    if (this.hanging.has(method)) return
    response.setHeader('Content-Type', 'application/vnd.docker.plugins.v1.2+json')
    response.end(JSON.stringify(this.answer(method, asked)))
  }

  private answer(method: string, asked: Asked): unknown {
    const error = this.errors.get(method)
    if (error !== undefined) return { Err: error }
    const name = asked.Name ?? ''
    const at = `${this.setting.dir}/${name}`
    if (['Mount', 'Unmount', 'Get', 'Path', 'Remove'].includes(method) && !this.has(name))
      return { Err: `no such volume: ${name}` }
    switch (method) {
      case 'Plugin.Activate':
        return { Implements: this.setting.implements ?? ['VolumeDriver'] }
      case 'Create':
        mkdirSync(at, { recursive: true })
        this.options.set(name, asked.Opts ?? {})
        return { Err: '' }
      case 'Remove':
        rmSync(at, { recursive: true, force: true })
        this.mounted.delete(name)
        return { Err: '' }
      case 'Mount':
        this.mounted.set(name, (this.mounted.get(name) ?? new Set()).add(asked.ID ?? ''))
        return { Mountpoint: at, Err: '' }
      case 'Unmount':
        this.mounted.get(name)?.delete(asked.ID ?? '')
        return { Err: '' }
      case 'Path':
        return { Mountpoint: at, Err: '' }
      case 'Get':
        return {
          Volume: { ...this.volume(name), Status: { options: this.options.get(name) ?? {} } },
          Err: '',
        }
      case 'List':
        return { Volumes: readdirSync(this.setting.dir).map((one) => this.volume(one)), Err: '' }
      case 'Capabilities':
        return { Capabilities: { Scope: 'global' } }
      default:
        return { Err: `unknown method ${method}` }
    }
  }

  private has = (name: string): boolean => readdirSync(this.setting.dir).includes(name)

  private volume(name: string) {
    const { birthtime } = statSync(`${this.setting.dir}/${name}`)
    const at = (this.mounted.get(name)?.size ?? 0) > 0 ? `${this.setting.dir}/${name}` : ''
    return { Name: name, Mountpoint: at, CreatedAt: birthtime.toISOString() }
  }
}
