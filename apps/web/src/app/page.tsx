export default function Page() {
  return <main>Berth</main>
}
