#!/usr/bin/env node
// Offline stand-in for Prisma's native `schema-engine` binary: speaks the CLI's
// newline-delimited JSON-RPC on stdin/stdout, and runs @prisma/schema-engine-wasm
// over @prisma/adapter-pg. Selected with PRISMA_SCHEMA_ENGINE_BINARY.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

const require = createRequire(import.meta.url)
const pg = require('pg')
const { PrismaPg } = require('@prisma/adapter-pg')
const { ColumnTypeEnum, bindMigrationAwareSqlAdapterFactory } = require('@prisma/driver-adapter-utils')

const { values: opt, positionals } = parseArgs({
  allowPositionals: true,
  strict: false,
  options: {
    datamodels: { type: 'string', multiple: true },
    datasource: { type: 'string' },
    'enabled-preview-features': { type: 'string' },
    'extension-types': { type: 'string' },
  },
})
const datasource = opt.datasource ? JSON.parse(opt.datasource) : {}
const log = (level, message, extra = {}) =>
  process.stderr.write(
    `${JSON.stringify({ level, target: 'schema_engine::logger', fields: { message, ...extra } })}\n`,
  )

// Discrete fields on purpose: with `connectionString`, pg would override the
// `database` that the adapter sets for the shadow database.
function pgConfig(url) {
  const u = new URL(url)
  return {
    host: decodeURIComponent(u.searchParams.get('host') ?? u.hostname),
    port: Number(u.port || 5432),
    user: decodeURIComponent(u.username || 'postgres'),
    password: u.password ? decodeURIComponent(u.password) : undefined,
    database: decodeURIComponent(u.pathname.slice(1)) || 'postgres',
    ssl: ['require', 'verify-full', 'verify-ca'].includes(u.searchParams.get('sslmode') ?? '')
      ? {}
      : undefined,
    idleTimeoutMillis: 200,
    max: 4,
  }
}
function schemaOf(url) {
  return new URL(url).searchParams.get('schema') ?? 'public'
}

async function cli(command) {
  const cfg = pgConfig(datasource.url)
  process.stderr.write('\n') // the CLI drops the first line
  const client = new pg.Client(command === 'create-database' ? { ...cfg, database: 'postgres' } : cfg)
  try {
    await client.connect()
    if (command === 'create-database') {
      await client.query(`CREATE DATABASE ${pg.escapeIdentifier(cfg.database)}`)
    }
    await client.end()
    return 0
  } catch (e) {
    const code =
      { '3D000': 'P1003', '28P01': 'P1000', 28000: 'P1000', ECONNREFUSED: 'P1001', ENOTFOUND: 'P1001' }[
        e.code
      ] ?? 'P1001'
    log('ERROR', e.message || String(e.code), { error_code: code, is_panic: false })
    return 1
  }
}

// The adapter's own executeScript splits on ";", which breaks function bodies:
// send the whole script through the simple query protocol instead.
// It also refuses a few catalog column types that the engine's introspection reads:
// they are read here as the type on the right, and "char" is then reported as Character
// (as text it panics the engine at the first CHECK constraint).
const CATALOG_OIDS = new Map([
  [18, 1042], // "char" -> bpchar
  [1002, 1014], // "char"[] -> bpchar[]
  [1003, 1009], // name[] -> text[]
])
for (const oid of [1002, 1003]) pg.types.setTypeParser(oid, pg.types.getTypeParser(1009))

class Factory extends PrismaPg {
  patch(a) {
    const { performIO, queryRaw } = a
    a.performIO = (query) =>
      // PostgreSQL 18 lists NOT NULL as constraints, which panic the engine (prisma/orm#29635).
      performIO.call(a, {
        ...query,
        sql: query.sql.replace("contype NOT IN ('p', 'u', 'f')", "contype IN ('c', 'x')"),
      })
    a.queryRaw = async (query) => {
      const r = await a.performIO(query)
      const oids = r.fields.map((f) => f.dataTypeID)
      for (const f of r.fields) f.dataTypeID = CATALOG_OIDS.get(f.dataTypeID) ?? f.dataTypeID
      const out = await queryRaw.call(Object.create(a, { performIO: { value: async () => r } }), query)
      out.columnTypes = out.columnTypes.map((t, i) => (oids[i] === 18 ? ColumnTypeEnum.Character : t))
      return out
    }
    a.executeScript = async (script) => {
      try {
        await a.underlyingDriver().query(script)
      } catch (e) {
        a.onError(e)
      }
    }
    return a
  }
  async connect() {
    return this.patch(await super.connect())
  }
  async connectToShadowDb() {
    if (datasource.shadowDatabaseUrl) {
      return new Factory(pgConfig(datasource.shadowDatabaseUrl)).connect()
    }
    return this.patch(await super.connectToShadowDb())
  }
}

// The engine reports a panic's text here, then traps.
const panics = {
  message: '',
  set_message(m) {
    this.message = m
  },
}
globalThis.PRISMA_WASM_PANIC_REGISTRY = panics

let wasm
async function loadWasm() {
  const dir = dirname(require.resolve('@prisma/schema-engine-wasm'))
  const bg = await import(pathToFileURL(join(dir, 'schema_engine_bg.js')).href)
  const { instance } = await WebAssembly.instantiate(readFileSync(join(dir, 'schema_engine_bg.wasm')), {
    './schema_engine_bg.js': bg,
  })
  bg.__wbg_set_wasm(instance.exports)
  instance.exports.__wbindgen_start()
  return bg
}
async function loadEngine() {
  wasm ??= await loadWasm()
  const bg = wasm
  const files = (opt.datamodels ?? []).map((p) => [p, readFileSync(p, 'utf8')])
  const factory = bindMigrationAwareSqlAdapterFactory(
    new Factory(pgConfig(datasource.url ?? 'postgresql://postgres@127.0.0.1:1/none'), {
      schema: datasource.url ? schemaOf(datasource.url) : 'public',
    }),
  )
  const engine = await bg.SchemaEngine.new(
    { datamodels: files.length ? files : undefined },
    (entry) => process.env.DEBUG_SCHEMA_ENGINE && process.stderr.write(`${entry}\n`),
    factory,
  )
  return { engine, factory }
}

function describe(e, factory) {
  const id = /id:? ?(\d+)/.exec(e?.message ?? '')?.[1]
  const cause = factory?.errorRegistry?.consumeError?.(Number(id))?.error
  const message = [panics.message, e?.message ?? String(e), cause && String(cause.message ?? cause)]
    .filter(Boolean)
    .join('\n')
  return { message, error_code: e?.code, is_panic: e?.name === 'RuntimeError' }
}

async function rpc() {
  let loaded
  const send = (m) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...m })}\n`)
  let printId = 0
  let pending
  const die = (e) => {
    if (pending === undefined) return
    const message = [panics.message, String(e?.stack ?? e)].filter(Boolean).join('\n')
    send({ id: pending, error: { code: 4466, message, data: { message, is_panic: true } } })
    process.exitCode = 1
  }
  // A panic surfaces outside the awaited call, which then never settles.
  process.on('uncaughtException', (e) => {
    die(e)
    process.exit(1)
  })
  process.on('unhandledRejection', (e) => {
    die(e)
    process.exit(1)
  })
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    if (!line.trim()) continue
    const req = JSON.parse(line)
    if (!req.method) continue // the CLI's answer to our `print`
    pending = req.id
    try {
      loaded ??= await loadEngine()
      let result
      // These two cannot make a shadow database themselves in the WASM build; they
      // find the migrations' schema in a cache that devDiagnostic fills.
      if (req.method === 'evaluateDataLoss' || req.method === 'createMigration') {
        const { migrationsList, filters } = req.params
        await loaded.engine.devDiagnostic({ migrationsList, filters })
      }
      if (req.method === 'getDatabaseVersion') result = await loaded.engine.version(req.params)
      else if (req.method === 'createDatabase') {
        const code = await cli('create-database')
        if (code) throw new Error('could not create the database')
        result = { databaseName: pgConfig(datasource.url).database }
      } else result = await loaded.engine[req.method](req.params)
      if (req.method === 'diff' && result.stdout != null) {
        send({ id: --printId, method: 'print', params: { content: result.stdout } })
      }
      pending = undefined
      send({ id: req.id, result: result ?? null })
    } catch (e) {
      if (process.env.DEBUG_SCHEMA_ENGINE) process.stderr.write(`${String(e?.stack ?? e)}\n`)
      const data = describe(e, loaded?.factory)
      send({ id: req.id, error: { code: 4466, message: data.message, data } })
    }
  }
  return 0
}

if (positionals[0] === '--version' || process.argv.includes('--version')) {
  console.log('schema-engine-cli wasm-shim')
  process.exit(0)
}
process.exit(positionals[0] === 'cli' ? await cli(positionals[1]) : await rpc())
