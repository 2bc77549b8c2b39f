/** Something that works and is most likely not meant; rule names are those of docker's build checks. */
export interface LintWarning {
  readonly rule: string
  readonly message: string
  readonly line: number
}

export type Warn = (rule: string, message: string, line: number) => void
