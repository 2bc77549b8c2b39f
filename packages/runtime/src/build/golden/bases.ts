import type { ImageConfig } from '../../api.js'

const BASE: ImageConfig = {
  env: ['PATH=/usr/local/bin:/usr/bin:/bin'],
  entrypoint: [],
  cmd: ['sh'],
  workdir: '',
  user: '',
  exposedPorts: [],
  labels: {},
  stopSignal: '',
  volumes: [],
  health: undefined,
  shell: [],
  onBuild: [],
}

/** The base images whose config matters to a case; every other reference is like `base:latest`. */
const BASES: Readonly<Record<string, ImageConfig>> = {
  'configured:latest': {
    ...BASE,
    env: [...BASE.env, 'LANG=C'],
    entrypoint: ['/entry'],
    cmd: ['default'],
    workdir: '/srv',
    user: 'app',
    exposedPorts: ['80/tcp'],
    labels: { from: 'base', kept: 'base' },
    volumes: ['/data'],
    shell: ['/bin/ash', '-ec'],
  },
  'triggers:latest': { ...BASE, onBuild: ['RUN echo triggered > /triggered', 'COPY a.txt /from-trigger'] },
  'triggers-with-arg:latest': { ...BASE, onBuild: ['ARG V=default', 'LABEL v=$V'] },
  'triggers-nonsense:latest': { ...BASE, onBuild: ['NONSENSE true'] },
  'triggers-chained:latest': { ...BASE, onBuild: ['ONBUILD RUN true'] },
}

/** The config of a base image of the golden cases. */
export const baseConfig = (reference: string): ImageConfig => BASES[reference] ?? BASE
