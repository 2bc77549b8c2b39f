/**
 * Who may import whom (docs/nomenclature.md names the rooms). An error here means that code sits in the wrong room or does I/O under a
 * name that promises none: move it, do not widen the rule. Every rule says why in its comment. Tests may import anything.
 */

const TEST = '\\.test\\.tsx?$|/testing/|/test/|(^|/)vitest\\.|^e2e/'

/** Workspace → the workspaces it may import. A workspace that is not here may not import any. */
const MAY_IMPORT = {
  'packages/core': [],
  'packages/proto': [],
  'packages/domain': ['packages/core'],
  'packages/runtime': ['packages/core'],
  'packages/engine-api': ['packages/core'],
  'packages/embedded-postgres': ['packages/core'],
  'apps/agent': [
    'packages/core',
    'packages/domain',
    'packages/proto',
    'packages/runtime',
    'packages/engine-api',
  ],
  'apps/control-plane': ['packages/core', 'packages/domain', 'packages/proto'],
  'apps/web': ['packages/domain'],
  'apps/cli': ['packages/core', 'packages/domain'],
  infra: ['packages/core', 'packages/domain', 'packages/runtime', 'packages/embedded-postgres'],
  bench: ['packages/core', 'packages/runtime'],
  e2e: ['packages/core', 'packages/domain', 'infra'],
}

const WHY = {
  'packages/core': 'core is below everything: what it imported, everything would import',
  'packages/proto': 'proto is wire types only: translating them is the business of the two ends',
  'packages/domain': 'domain is the meaning of specs and states, shared with the browser: it has no ends',
  'packages/runtime': 'the runtime knows one host and has never heard of services, tasks or nodes',
  'packages/engine-api':
    'how the Docker Engine API is spoken, on a host and on the cluster alike: it knows neither of the two models',
  'packages/embedded-postgres': 'it serves tests and the lab: it knows a database, not Berth',
  'apps/agent': 'the agent does what is assigned: it never sees the store or another app',
  'apps/control-plane': 'the control plane decides and never touches a container: no runtime in here',
  'apps/web': 'the browser knows the domain and the HTTP API, never core, proto, the runtime or the store',
  'apps/cli': 'the command line is a client of the HTTP API like any other',
  infra: 'the lab starts programs and calls the HTTP API: it does not reach into apps',
  bench: 'the bench measures the runtime as an embedder has it',
  e2e: 'end-to-end tests drive what a user drives',
}

/** A workspace's own files, its built files, and its name when it is not built yet. */
const pathsOf = (workspace) => [`^${workspace}/`, `^@berth/${workspace.split('/').at(-1)}(/|$)`]

const betweenWorkspaces = Object.entries(MAY_IMPORT).map(([workspace, allowed]) => ({
  name: `boundary-${workspace.replace('/', '-')}`,
  comment: `${WHY[workspace]}; may import: ${allowed.join(', ') || 'no other workspace'}`,
  severity: 'error',
  from: { path: `^${workspace}/`, pathNot: TEST },
  to: {
    path: ['^(packages|apps)/', '^(infra|bench|e2e|prisma|tools)/', '^@berth/'],
    pathNot: [workspace, ...allowed].flatMap(pathsOf),
  },
}))

/** SUFFIX = EFFECT: a file does I/O only if its name says so. */
const EFFECT_SUFFIX = '\\.(store|loop|exec|grpc|client|controller|gateway|module|child)\\.ts$'
const COMPOSITION_ROOT = '(^|/)(main|agent|runtime)\\.ts$|/host/|\\.config\\.ts$'
const IO_MODULES =
  '^(node:)?(fs|fs/promises|child_process|net|http|https|http2|tls|dgram|dns|dns/promises|sqlite|readline|worker_threads|cluster)$'
const IO_PACKAGES = '(^|/)node_modules/(pg|@prisma/client|@prisma/adapter-pg|ws|koffi|fastify|undici)/'

const ROOMS = 'api|dispatcher|orchestrator|scheduler|allocator'

export default {
  forbidden: [
    ...betweenWorkspaces,
    {
      name: 'apps-never-import-apps',
      comment: 'apps meet on the wire (HTTP, gRPC) and in packages/*: an import would make two programs one',
      severity: 'error',
      from: { path: '^apps/([^/]+)/', pathNot: TEST },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'test-code-stays-in-tests',
      comment:
        'what only tests need (testing/, the embedded Postgres, *.test.ts) must not reach production; the lab in infra/ may start the embedded Postgres',
      severity: 'error',
      from: { path: '^(apps|packages)/', pathNot: TEST },
      to: {
        path: ['^packages/embedded-postgres/', '/testing/', '\\.test\\.tsx?$'],
        pathNot: '^packages/embedded-postgres/src/',
      },
    },
    {
      name: 'pure-files-do-no-io',
      comment:
        'SUFFIX = EFFECT: only *.store *.loop *.exec *.grpc *.client *.controller *.gateway *.module *.child, main/agent/runtime.ts, host/ and testing/ do I/O. Move the effect into such a file and pass its result as an argument',
      severity: 'error',
      from: {
        path: '^(apps|packages|infra|bench)/',
        pathNot: [TEST, EFFECT_SUFFIX, COMPOSITION_ROOT, '/gen/', '\\.mjs$', '^apps/web/'],
      },
      to: { path: [IO_MODULES, IO_PACKAGES], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'grpc-in-grpc-files',
      comment:
        'a *.grpc.ts or *.client.ts file is an end of a connection; others may take grpc-js types, and grpc-fault.ts its status numbers',
      severity: 'error',
      from: {
        path: '^(apps|packages)/',
        pathNot: [TEST, EFFECT_SUFFIX, COMPOSITION_ROOT, '/gen/', 'grpc-(status|fault)[^/]*\\.ts$'],
      },
      to: { path: '(^|/)node_modules/@grpc/grpc-js/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'web-model-is-pure',
      comment: 'features/*/model holds what a table test can decide: no React, no fetching, no router',
      severity: 'error',
      from: { path: '^apps/web/.*features/[^/]+/model/', pathNot: TEST },
      to: { path: '(^|/)node_modules/(react|react-dom|next|@tanstack)/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'rooms-never-import-each-other',
      comment:
        'loops meet in the store: api, dispatcher, orchestrator, scheduler and allocator read and write rows and never call each other; only app.module.ts and main.ts know more than one',
      severity: 'error',
      from: { path: `^apps/control-plane/src/(${ROOMS})/`, pathNot: TEST },
      to: { path: `^apps/control-plane/src/(${ROOMS})/`, pathNot: '^apps/control-plane/src/$1/' },
    },
    {
      name: 'nest-at-the-edge',
      comment:
        'Nest is how HTTP and websockets come in: only http/ (which assembles it), modules, controllers, gateways, filters, guards and main know it; loops and stores are plain classes given a deps record',
      severity: 'error',
      from: {
        path: '^apps/control-plane/src/',
        pathNot: [
          TEST,
          '/src/http/',
          '\\.(module|controller|gateway|filter|guard|decorator)\\.ts$',
          '(^|/)main\\.ts$',
        ],
      },
      to: { path: '(^|/)node_modules/@nestjs/' },
    },
    {
      name: 'database-in-the-store',
      comment:
        'only store/ speaks to Postgres (Prisma, pg, LISTEN): everything else calls its methods with plain data',
      severity: 'error',
      from: { path: '^apps/', pathNot: [TEST, '^apps/control-plane/src/store/'] },
      to: {
        path: ['(^|/)node_modules/(pg|@prisma/[^/]+|prisma)/', '^apps/control-plane/src/store/gen/'],
      },
    },
    {
      name: 'runtime-processes-in-exec-files',
      comment: 'a process is started where its name says so: host/**, *.exec.ts, *.child.ts',
      severity: 'error',
      from: { path: '^packages/runtime/src/', pathNot: [TEST, '/host/', '\\.(exec|child)\\.ts$'] },
      to: { path: '^(node:)?child_process$', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'runtime-files-in-stores',
      comment:
        'the runtime touches the disk in host/**, *.store.ts, *.exec.ts, *.child.ts and runtime.ts, so that crash safety is reviewed in few places',
      severity: 'error',
      from: {
        path: '^packages/runtime/src/',
        pathNot: [TEST, '/host/', '\\.(store|exec|child)\\.ts$', '/runtime\\.ts$'],
      },
      to: { path: '^(node:)?fs(/promises)?$', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'libc-in-host',
      comment:
        'calls into libc (mount, flock, setns) are one small file in host/: a wrong one takes the process down',
      severity: 'error',
      from: { path: '^(apps|packages|infra|bench)/', pathNot: ['^packages/runtime/src/host/'] },
      to: { path: '(^|/)node_modules/koffi/' },
    },
    {
      name: 'no-circular',
      comment: 'two files that import each other are one file, or a third is missing',
      severity: 'error',
      from: { pathNot: ['/gen/', '(^|/)dist/'] },
      to: { circular: true },
    },
    {
      name: 'no-orphans',
      comment:
        'a file nobody imports and that imports nothing is dead: delete it (entry points are listed in the rule)',
      severity: 'error',
      from: {
        orphan: true,
        pathNot: [
          TEST,
          '\\.d\\.(ts|mts)$',
          '\\.(child|config)\\.(ts|mjs|js)$',
          '(^|/)(main|index|middleware|proxy|instrumentation)\\.tsx?$',
          '/gen/',
          '^apps/web/(src/)?(app|public)/',
          '\\.mjs$',
        ],
      },
      to: {},
    },
    {
      name: 'declared-dependencies',
      comment:
        'a package that is imported but not in the nearest package.json works by accident of hoisting: add it there, pinned',
      severity: 'error',
      from: {
        path: '^(apps|packages|infra|bench)/',
        pathNot: [TEST, '/gen/', '\\.config\\.(ts|mts|mjs|js)$'],
      },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-dev'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: ['(^|/)node_modules/', '(^|/)dist/', '(^|/)\\.next/'] },
    exclude: { path: ['(^|/)\\.next/', '(^|/)\\.turbo/', '(^|/)next-env\\.d\\.ts$'] },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.tsx', '.mts', '.js', '.mjs', '.json'],
    },
    reporterOptions: { text: { highlightFocused: true } },
  },
}
