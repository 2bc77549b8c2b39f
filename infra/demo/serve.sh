# Runs inside the container: fills in who we are, then serves.
bb=/bin/busybox
release="${BERTH_RELEASE:-0}"
$bb sed -e "s|@SERVICE@|${BERTH_SERVICE:-web}|g" -e "s|@SLOT@|${BERTH_SLOT:-?}|g" -e "s|@NODE@|${BERTH_NODE:-?}|g" \
  -e "s|@RELEASE@|$release|g" -e "s|@GREETING@|${GREETING:-Hello from Berth}|g" /www/page.template > /www/index.html
echo "service=${BERTH_SERVICE:-web} slot=${BERTH_SLOT:-?} node=${BERTH_NODE:-?} release=$release" > /www/whoami
echo "listening on :${PORT} as ${BERTH_SERVICE:-web}.${BERTH_SLOT:-?} on ${BERTH_NODE:-?}, release $release"
exec $bb httpd -f -vv -p "$PORT" -h /www
