"""A bucket of moto, over TLS because pgBackRest knows nothing else, on loopback."""
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.abspath(__file__))
PLACES = ["/usr/local/lib/smcdr-tools/moto", os.path.expanduser("~/.local/lib/smcdr-tools/moto")]  # as in tests/tools/install-moto.sh
BUCKET = "bench"


class Bucket:
    def __init__(self, work, port):
        self.port = port
        self.certificate = os.path.join(work, "server.crt")
        key = os.path.join(work, "server.key")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
             "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", self.certificate], check=True, capture_output=True)
        os.chmod(self.certificate, 0o644)
        self.log = open(os.path.join(work, "moto.log"), "w")
        # Without its own import path moto is Debian's package.
        path = os.pathsep.join(place for place in PLACES if os.path.isdir(place))
        self.server = subprocess.Popen(
            [sys.executable, os.path.join(ROOT, "moto_tls.py"),
             "-H", "127.0.0.1", "-p", str(port), "-c", self.certificate, "-k", key],
            env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.DEVNULL, stderr=self.log)
        self.env = {
            "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CA_BUNDLE": self.certificate, "SSL_CERT_FILE": self.certificate, "AWS_ENDPOINT_URL": self.endpoint}
        self._wait()
        self.aws("s3", "mb", "s3://" + BUCKET)

    @property
    def endpoint(self):
        return "https://localhost:%d" % self.port

    def _wait(self):
        for _ in range(300):
            if self.server.poll() is not None:
                raise SystemExit("moto ended; tests/tools/install-moto.sh brings it.\n" + open(self.log.name).read()[-2000:])
            try:
                self.aws("s3", "ls")
                return
            except subprocess.CalledProcessError:
                time.sleep(0.2)
        raise SystemExit("moto does not answer.")

    def aws(self, *args):
        return subprocess.run(["aws", "--endpoint-url", self.endpoint, *args], env={**os.environ, **self.env}, check=True, capture_output=True, text=True).stdout

    def url(self, key):
        return "s3://%s/%s --endpoint-url %s" % (BUCKET, key, self.endpoint)

    def smcdr_location(self, prefix):
        return "s3://%s/%s?region=us-east-1&endpoint=%s" % (BUCKET, prefix, self.endpoint)

    def pgbackrest(self, prefix):
        return (
            "repo1-type=s3\nrepo1-path=/%s\nrepo1-s3-bucket=%s\nrepo1-s3-endpoint=localhost\nrepo1-storage-host=127.0.0.1\nrepo1-storage-port=%d\n"
            "repo1-s3-region=us-east-1\nrepo1-s3-uri-style=path\nrepo1-s3-key=bench\nrepo1-s3-key-secret=bench\nrepo1-storage-verify-tls=n\n" % (
                prefix, BUCKET, self.port))

    def size(self, prefix):
        answer = self.aws("s3api", "list-objects-v2", "--bucket", BUCKET, "--prefix", prefix + "/", "--query", "sum(Contents[].Size)", "--output", "json")
        return json.loads(answer or "0") or 0

    def empty(self):
        urllib.request.urlopen(urllib.request.Request(
            "%s/moto-api/reset" % self.endpoint, method="POST"), context=self._context()).read()
        self.aws("s3", "mb", "s3://" + BUCKET)

    def _context(self):
        import ssl
        return ssl.create_default_context(cafile=self.certificate)

    def stop(self):
        self.server.terminate()
        self.server.wait(30)
