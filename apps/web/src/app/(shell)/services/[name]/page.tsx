import { ServiceView } from '../../../../features/services/service-view'

export default async function ServicePage({
  params,
}: {
  readonly params: Promise<{ readonly name: string }>
}) {
  const { name } = await params
  return <ServiceView name={decodeURIComponent(name)} />
}
