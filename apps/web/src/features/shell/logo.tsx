export function Logo({ size = 24 }: { readonly size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" className="fill-accent" />
      <g className="fill-accent-ink">
        <rect x="7" y="8" width="8" height="7" rx="1.5" />
        <rect x="17" y="8" width="8" height="7" rx="1.5" opacity=".65" />
        <path d="M5 18h22l-2.6 5.2a2 2 0 0 1-1.8 1.1H9.4a2 2 0 0 1-1.8-1.1z" />
      </g>
    </svg>
  )
}
