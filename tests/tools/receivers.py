#!/usr/bin/env python3
"""Receivers of alerts for tests: a web server and an SMTP server on the loopback interface that fail as they are told.

    receivers.py http [--tls CERT KEY] STEP...
    receivers.py smtp [--tls CERT KEY | --starttls CERT KEY] [--auth USER PASSWORD] STEP...

The first line of output is the port; each further one is a JSON document of what was received, a request or a mail. Each request or connection takes the next step,
and those behind the last one take that again. It ends with its standard input.

Steps of http: a status; STATUS:SECONDS with Retry-After; STATUS=TEXT with a body; drop, which breaks the connection.
Steps of smtp: ok; greet421; mail550; rcpt450=ADDRESS and rcpt550=ADDRESS; data451; drop, which breaks the connection within the data; auth454.
"""

import argparse
import asyncio
import base64
import http.server
import json
import os
import ssl
import sys
import threading
import time


def tell(document):
    sys.stdout.write(json.dumps(document) + '\n')
    sys.stdout.flush()


class Steps:
    def __init__(self, steps):
        self.steps = steps or ['ok']
        self.next = 0

    def take(self):
        step = self.steps[min(self.next, len(self.steps) - 1)]
        self.next += 1
        return step


def context(files):
    result = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    result.load_cert_chain(*files)
    return result


def serve_http(options):
    steps = Steps(options.steps)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'

        def log_message(self, *_):
            pass

        def answer(self):
            body = self.rfile.read(int(self.headers.get('Content-Length', 0))).decode()
            step = steps.take()
            tell({'method': self.command, 'path': self.path, 'headers': dict(self.headers), 'body': body, 'time': time.monotonic(), 'step': step})
            self.close_connection = True
            if step == 'drop':
                return
            step, _, text = step.partition('=')
            status, _, after = step.partition(':')
            self.send_response(int(status))
            if after:
                self.send_header('Retry-After', after)
            if status.startswith('3'):
                self.send_header('Location', text)
            self.send_header('Content-Length', str(len(text)))
            self.send_header('Connection', 'close')
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = answer

    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.handle_error = lambda *_: None
    if options.tls:
        server.socket = context(options.tls).wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    tell(server.server_port)
    server.serve_forever()


class SmtpSession:
    """RFC 5321, as much of it as a client that sends one mail speaks, with STARTTLS (RFC 3207) and AUTH PLAIN and LOGIN (RFC 4954)."""

    def __init__(self, options, step, reader, writer):
        self.options, self.step, self.reader, self.writer = options, step, reader, writer
        self.secure = bool(options.tls)
        self.user = None
        self.sender, self.recipients = None, []

    async def say(self, *lines):
        code, texts = lines[0][:3], [line[4:] for line in lines]
        for text in texts[:-1]:
            self.writer.write(f'{code}-{text}\r\n'.encode())
        self.writer.write(f'{code} {texts[-1]}\r\n'.encode())
        await self.writer.drain()

    async def hear(self):
        line = await self.reader.readline()
        return line.decode('utf-8', 'replace').rstrip('\r\n') if line.endswith(b'\n') else None

    async def run(self):
        if self.step == 'greet421':
            await self.say('421 busy')
            return
        await self.say('220 receiver.test')
        while (line := await self.hear()) is not None:
            verb, _, rest = line.partition(' ')
            verb = verb.upper()
            if verb == 'QUIT':
                await self.say('221 bye')
                return
            if not await getattr(self, 'on_' + verb.lower(), self.on_unknown)(rest):
                return

    async def on_unknown(self, _):
        await self.say('502 unknown')
        return True

    async def on_ehlo(self, _):
        offers = ['250 receiver.test', '250 PIPELINING', '250 8BITMIME']
        if self.options.starttls and not self.secure:
            offers.append('250 STARTTLS')
        elif self.options.auth:
            offers.append('250 AUTH PLAIN')
        await self.say(*offers)
        return True

    on_helo = on_ehlo

    async def on_starttls(self, _):
        await self.say('220 go ahead')
        await self.writer.start_tls(context(self.options.starttls))
        self.secure = True
        return True

    async def on_auth(self, rest):
        mechanism, _, initial = rest.partition(' ')
        if mechanism.upper() != 'PLAIN':
            await self.say('504 unknown mechanism')
            return True
        if not initial:
            await self.say('334 ')
            initial = await self.hear()
        _, user, password = base64.b64decode(initial).decode().split('\0')
        if self.step == 'auth454':
            await self.say('454 4.7.0 not now')
        elif self.options.auth == [user, password]:
            self.user = user
            await self.say('235 welcome')
        else:
            # As some servers do, it repeats what it was sent.
            await self.say(f'535 5.7.8 {user} {password} is wrong')
        return True

    async def on_mail(self, rest):
        if self.options.auth and not self.user:
            await self.say('530 5.7.0 who are you')
        elif self.step == 'mail550':
            await self.say('550 5.7.1 not you')
        else:
            self.sender, self.recipients = rest.partition(':')[2].split('>')[0].strip(' <'), []
            await self.say('250 ok')
        return True

    async def on_rcpt(self, rest):
        address = rest.partition(':')[2].split('>')[0].strip(' <')
        kind, _, wanted = self.step.partition('=')
        if kind.startswith('rcpt') and wanted == address:
            await self.say(f'{kind[4:]} no such mailbox')
        else:
            self.recipients.append(address)
            await self.say('250 ok')
        return True

    async def on_rset(self, _):
        self.sender, self.recipients = None, []
        await self.say('250 ok')
        return True

    on_noop = on_rset

    async def on_data(self, _):
        if not self.recipients:
            await self.say('554 no valid recipients')
            return True
        await self.say('354 go ahead')
        lines = []
        while (line := await self.hear()) != '.':
            if line is None or self.step == 'drop':
                return False
            lines.append(line[1:] if line.startswith('.') else line)
        if self.step == 'data451':
            await self.say('451 4.3.0 later')
            return True
        tell({'from': self.sender, 'to': self.recipients, 'secure': self.secure, 'user': self.user, 'data': '\n'.join(lines), 'step': self.step})
        await self.say('250 taken')
        return True


def serve_smtp(options):
    steps = Steps(options.steps)

    async def session(reader, writer):
        try:
            await SmtpSession(options, steps.take(), reader, writer).run()
        except (OSError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def run():
        server = await asyncio.start_server(session, '127.0.0.1', 0, ssl=context(options.tls) if options.tls else None)
        tell(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('kind', choices=['http', 'smtp'])
    parser.add_argument('--tls', nargs=2)
    parser.add_argument('--starttls', nargs=2)
    parser.add_argument('--auth', nargs=2)
    parser.add_argument('steps', nargs='*')
    options = parser.parse_intermixed_args()
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    (serve_http if options.kind == 'http' else serve_smtp)(options)


if __name__ == '__main__':
    main()
