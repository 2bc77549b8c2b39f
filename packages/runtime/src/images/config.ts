import { type Digest, fault, isDigest } from '@berth/core'
import type { HealthCheck, ImageConfig } from '../api.js'
import { isObject, type Json, parseJson } from './json.js'
import type { Platform } from './platform.js'

/** An image config as an image carries it; attacker input until it has been through here. */
export interface ConfigFile {
  readonly platform: Platform
  readonly createdAt: string
  readonly author: string
  readonly comment: string
  readonly config: ImageConfig
  readonly diffIds: readonly Digest[]
  readonly history: readonly ConfigHistory[]
}
export interface ConfigHistory {
  readonly createdAt: string
  readonly createdBy: string
  readonly author: string
  readonly comment: string
  readonly isEmptyLayer: boolean
}

export const EPOCH = '1970-01-01T00:00:00Z'
/** Labels by which we know our own things; an image that claims them is not believed (CVE-2026-53488). */
const RESERVED_LABEL = /^berth\./i
const HISTORY_MAX = 10_000
const NANOS_PER_MS = 1_000_000

const bad = (why: string) =>
  fault.invalidArgument('image.config_invalid', `the image config is not valid: ${why}`)

/** @throws image.config_invalid */
export function parseConfig(bytes: Uint8Array): ConfigFile {
  const json = parseJson(bytes, bad)
  const config = json.config ?? {}
  if (!isObject(config)) throw bad('config is not an object')
  return {
    platform: {
      os: text(json, 'os') || 'linux',
      architecture: text(json, 'architecture'),
      variant: text(json, 'variant'),
    },
    createdAt: time(json.created),
    author: text(json, 'author'),
    comment: text(json, 'comment'),
    config: parseImageConfig(config),
    diffIds: parseDiffIds(json.rootfs),
    history: parseHistory(json.history),
  }
}

function parseDiffIds(rootfs: unknown): readonly Digest[] {
  const ids: unknown = (isObject(rootfs) ? rootfs.diff_ids : undefined) ?? []
  if (!Array.isArray(ids) || !ids.every((id): id is Digest => typeof id === 'string' && isDigest(id)))
    throw bad('a diff_id is not a sha256 digest')
  return ids
}

/** CVE-2021-21285: entries may be anything. */
function parseHistory(value: unknown): readonly ConfigHistory[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value) || value.length > HISTORY_MAX || !value.every(isObject))
    throw bad(`history is not a list of at most ${HISTORY_MAX} objects`)
  return value.map((entry) => ({
    createdAt: time(entry.created),
    createdBy: text(entry, 'created_by'),
    author: text(entry, 'author'),
    comment: text(entry, 'comment'),
    isEmptyLayer: entry.empty_layer === true,
  }))
}

const time = (value: unknown): string =>
  typeof value === 'string' && value.length <= 64 && !Number.isNaN(Date.parse(value)) ? value : EPOCH

function text(json: Json, key: string): string {
  const value = json[key] ?? ''
  if (typeof value !== 'string' || value.includes('\0')) throw bad(`${key} is not a string`)
  return value
}

function list(json: Json, key: string): readonly string[] {
  const value = json[key] ?? []
  const isText = (item: unknown): item is string => typeof item === 'string' && !item.includes('\0')
  if (!Array.isArray(value) || !value.every(isText)) throw bad(`${key} is not a list of strings`)
  return value
}

/** A Go set: an object whose keys count. */
function keys(json: Json, key: string): readonly string[] {
  const value = json[key] ?? {}
  if (!isObject(value)) throw bad(`${key} is not an object`)
  const found = Object.keys(value)
  if (found.some((name) => name.includes('\0') || name === '')) throw bad(`${key} has an invalid key`)
  return found
}

/** docker's `Config` object, of an image or of `docker commit`. @throws image.config_invalid */
export function parseImageConfig(json: Json): ImageConfig {
  return {
    env: list(json, 'Env'),
    entrypoint: list(json, 'Entrypoint'),
    cmd: list(json, 'Cmd'),
    workdir: text(json, 'WorkingDir'),
    user: text(json, 'User'),
    exposedPorts: keys(json, 'ExposedPorts'),
    labels: labels(json.Labels),
    stopSignal: text(json, 'StopSignal'),
    volumes: keys(json, 'Volumes'),
    health: parseHealth(json.Healthcheck),
    shell: list(json, 'Shell'),
    onBuild: list(json, 'OnBuild'),
  }
}

function labels(value: unknown): Readonly<Record<string, string>> {
  const found = value ?? {}
  if (!isObject(found)) throw bad('Labels is not a map of strings')
  const entries = Object.entries(found).filter(([key]) => !RESERVED_LABEL.test(key))
  const isText = (entry: [string, unknown]): entry is [string, string] => typeof entry[1] === 'string'
  if (!entries.every(isText)) throw bad('Labels is not a map of strings')
  return Object.fromEntries(entries)
}

/** Times are nanoseconds there; 0 and absence mean the default. */
function parseHealth(value: unknown): HealthCheck | 'none' | undefined {
  if (value === undefined || value === null) return undefined
  if (!isObject(value)) throw bad('Healthcheck is not an object')
  const [kind, ...rest] = list(value, 'Test')
  const times = healthTimes(value)
  if (kind === undefined) return undefined
  if (kind === 'NONE') return 'none'
  if (kind === 'CMD' && rest.length > 0) return { test: { exec: rest }, ...times }
  if (kind === 'CMD-SHELL' && rest.length === 1) return { test: { shell: rest[0] ?? '' }, ...times }
  throw bad('Healthcheck.Test must begin with NONE, CMD or CMD-SHELL')
}

const HEALTH_TIMES = [
  ['Interval', 'intervalMs', NANOS_PER_MS],
  ['Timeout', 'timeoutMs', NANOS_PER_MS],
  ['StartPeriod', 'startPeriodMs', NANOS_PER_MS],
  ['StartInterval', 'startIntervalMs', NANOS_PER_MS],
  ['Retries', 'retries', 1],
] as const

function healthTimes(json: Json): Partial<HealthCheck> {
  return Object.fromEntries(
    HEALTH_TIMES.flatMap(([from, to, unit]) => {
      const value = json[from] ?? 0
      if (typeof value !== 'number' || !Number.isFinite(value) || value < 0)
        throw bad(`Healthcheck.${from} is not a number`)
      return value === 0 ? [] : [[to, Math.max(1, Math.round(value / unit))]]
    }),
  )
}

/** The `config` object of a config file: what `parseImageConfig` reads, without what is empty. */
export function formatImageConfig(config: ImageConfig): Json {
  const set = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, {}]))
  const all: Json = {
    User: config.user,
    ExposedPorts: set(config.exposedPorts),
    Env: config.env,
    Entrypoint: config.entrypoint,
    Cmd: config.cmd,
    Healthcheck: formatHealth(config.health),
    Volumes: set(config.volumes),
    WorkingDir: config.workdir,
    Labels: config.labels,
    OnBuild: config.onBuild,
    StopSignal: config.stopSignal,
    Shell: config.shell,
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => !isEmpty(value)))
}

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === '' ||
  (typeof value === 'object' && value !== null && Object.keys(value).length === 0)

function formatHealth(health: ImageConfig['health']): Json | undefined {
  if (health === undefined) return undefined
  if (health === 'none') return { Test: ['NONE'] }
  const { test } = health
  const times = HEALTH_TIMES.flatMap(([to, from, unit]) => {
    const value = health[from]
    return value === undefined ? [] : [[to, value * unit] as const]
  })
  const words = 'exec' in test ? ['CMD', ...test.exec] : ['CMD-SHELL', test.shell]
  return { Test: words, ...Object.fromEntries(times) }
}

/** A whole config file, keys in a fixed order: equal inputs give equal image ids. `more` are members that others pass over. */
export function formatConfig(file: ConfigFile, more: Json = {}): Buffer {
  const { os, architecture, variant } = file.platform
  return Buffer.from(
    JSON.stringify({
      ...(file.author ? { author: file.author } : {}),
      architecture,
      ...(variant ? { variant } : {}),
      os,
      created: file.createdAt,
      ...(file.comment ? { comment: file.comment } : {}),
      config: formatImageConfig(file.config),
      rootfs: { type: 'layers', diff_ids: file.diffIds },
      history: file.history.map((entry) => ({
        created: entry.createdAt,
        ...(entry.createdBy ? { created_by: entry.createdBy } : {}),
        ...(entry.author ? { author: entry.author } : {}),
        ...(entry.comment ? { comment: entry.comment } : {}),
        ...(entry.isEmptyLayer ? { empty_layer: true } : {}),
      })),
      ...more,
    }),
  )
}
