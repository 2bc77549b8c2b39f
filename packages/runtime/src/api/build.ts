export interface BuildRequest {
  readonly contextDir: string
  /** Path inside the context; `Dockerfile` by default. */
  readonly dockerfile?: string
  readonly tags: readonly string[]
  readonly buildArgs?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
  readonly onProgress?: (line: string) => void
}
