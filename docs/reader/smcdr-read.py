#!/usr/bin/env python3
"""Reads a repository of SmcDr in a directory, without SmcDr.

    smcdr-read.py list REPO
    smcdr-read.py show REPO BACKUP
    smcdr-read.py extract REPO BACKUP TARGET [PATTERN ...]
    smcdr-read.py verify REPO BACKUP
    smcdr-read.py wal REPO SYSTEMID SEGMENT OUTFILE

BACKUP is an id such as 20261122T081500Z-full, with its component before it where the id alone is not clear:
filestore/20261122T081500Z-full. TARGET must be empty or absent. PATTERN is a path in which * and ? match within a name and ** any
number of names; without a slash it matches a name at any depth. A directory that matches stands for what is below it.

An encrypted repository needs --key-file FILE, a key file or a file with a passphrase in it, or a passphrase in the environment variable
SMCDR_PASSPHRASE. What AWS KMS has unwrapped is taken, in Base64, from SMCDR_REPOSITORY_KEY.

Needs Python 3.8 or newer; where data is compressed with Zstandard, the program zstd; where it is encrypted, OpenSSL's libcrypto. Written from
repository-format.md alone; every digest that the page demands is checked before anything is used.
"""

import argparse
import base64
import ctypes
import ctypes.util
import fnmatch
import gzip
import hashlib
import hmac
import json
import os
import re
import stat
import subprocess
import sys
import unicodedata
from array import array

FORMAT = 1
COMPONENTS = {"database": "Database", "redis": "Redis", "configuration": "Configuration", "filestore": "FileStore"}
ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[a-z]{1,20}")
SEGMENT = re.compile(r"[0-9A-F]{24}")
MINIMUM_PAGE = 1 << 10
MAXIMUM_BLOCK = 16 << 20
BLOCKS_AT_ONCE = 32
BLOCKS_KEPT = 128


class Damage(Exception):
    """Something is missing, damaged or not what it should be."""


# Checksums and compression


def crc32c_table():
    """For two bytes at a time: pure Python is slow enough."""
    table = array("I", bytes(4 * 65536))
    for i in range(65536):
        crc = i
        for _ in range(16):
            crc = (crc >> 1) ^ 0x82F63B78 if crc & 1 else crc >> 1
        table[i] = crc
    return table


CRC32C = None


def crc32c(data):
    global CRC32C
    if CRC32C is None:
        CRC32C = crc32c_table()
    table = CRC32C
    crc = 0xFFFFFFFF
    words = array("H", data[: len(data) & ~1])
    if sys.byteorder == "big":
        words.byteswap()
    for word in words:
        crc = table[(crc ^ word) & 0xFFFF] ^ (crc >> 16)
    if len(data) & 1:
        crc ^= data[-1]
        for _ in range(8):
            crc = (crc >> 1) ^ 0x82F63B78 if crc & 1 else crc >> 1
    return crc ^ 0xFFFFFFFF


def decompress(codec, data, what):
    """Any number of frames, or gzip members, one behind the other."""
    if codec == "none":
        return data
    if codec == "gzip":
        try:
            return gzip.decompress(data)
        except (OSError, EOFError) as e:
            raise Damage(f"{what} cannot be decompressed: {e}")
    if codec == "zstd":
        try:
            result = subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        except FileNotFoundError:
            sys.exit("smcdr-read.py: the data is compressed with Zstandard, and there is no program 'zstd' here.\n"
                     "Install it (Debian and Ubuntu: apt-get install zstd) and run the command again.")
        if result.returncode != 0:
            raise Damage(f"{what} cannot be decompressed: {result.stderr.decode(errors='replace').strip()}")
        return result.stdout
    raise Damage(f"{what} is compressed with '{codec}', which this reader does not know")


# Encryption

FRAME = 16384
TAG = 16
MAGIC = b"SMCDRENC\x01"
KEYS = None


class Gcm:
    """AES-256-GCM of OpenSSL: Python has none of its own."""

    library = None

    def __init__(self, key):
        if Gcm.library is None:
            name = ctypes.util.find_library("crypto")
            if not name:
                sys.exit("smcdr-read.py: the data is encrypted, and OpenSSL's libcrypto is not here.")
            Gcm.library = ctypes.CDLL(name)
            for function in ("EVP_CIPHER_CTX_new", "EVP_aes_256_gcm"):
                getattr(Gcm.library, function).restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(Gcm.library.EVP_CIPHER_CTX_new())
        self.check(Gcm.library.EVP_DecryptInit_ex(self.context, ctypes.c_void_p(Gcm.library.EVP_aes_256_gcm()), None, key, None))

    def __del__(self):
        Gcm.library.EVP_CIPHER_CTX_free(self.context)

    @staticmethod
    def check(result):
        if result != 1:
            raise Damage("OpenSSL refuses to decrypt")

    def open(self, nonce, associated, data):
        """The content, or None where it is not authentic."""
        lib, length, content = Gcm.library, ctypes.c_int(), ctypes.create_string_buffer(max(1, len(data) - TAG))
        self.check(lib.EVP_DecryptInit_ex(self.context, None, None, None, nonce))
        self.check(lib.EVP_DecryptUpdate(self.context, None, ctypes.byref(length), associated, len(associated)))
        if len(data) > TAG:
            self.check(lib.EVP_DecryptUpdate(self.context, content, ctypes.byref(length), data[:-TAG], len(data) - TAG))
        self.check(lib.EVP_CIPHER_CTX_ctrl(self.context, 0x11, TAG, data[-TAG:]))  # EVP_CTRL_AEAD_SET_TAG
        if lib.EVP_DecryptFinal_ex(self.context, None, ctypes.byref(length)) != 1:
            return None
        return content.raw[:len(data) - TAG]


def hkdf(key, salt, info, length=32):
    pseudorandom = hmac.new(salt or bytes(32), key, hashlib.sha256).digest()
    return hmac.new(pseudorandom, info + b"\x01", hashlib.sha256).digest()[:length]


def read_secret(options):
    """How envelopes are tried: a function from an envelope to its wrapping key, or None."""
    text = os.environ.get("SMCDR_PASSPHRASE")
    if options.key_file:
        with open(options.key_file, encoding="utf-8-sig") as file:
            text = file.read()
        text = text[:-1] if text.endswith("\n") else text
    if text is None:
        return None
    if text.strip().startswith("SMCDR-KEY-"):
        label, _, encoded = text.strip().partition(" ")
        secret = base64.b64decode(encoded)
        if label != "SMCDR-KEY-1" or len(secret) != 32:
            raise Damage(f"'{options.key_file}' is not a key file")
        return lambda envelope: (
            hkdf(secret, base64.b64decode(envelope["salt"]), b"SmcDr key file 1")
            if envelope["kind"] == "keyFile" and envelope["fingerprint"] == hkdf(secret, b"", b"SmcDr key file id 1", 8).hex() else None)
    passphrase = unicodedata.normalize("NFC", text).encode()
    return lambda envelope: (
        hashlib.pbkdf2_hmac("sha512", passphrase, base64.b64decode(envelope["salt"]), envelope["iterations"], 32)
        if envelope["kind"] == "passphrase" and 600_000 <= envelope["iterations"] <= 10_000_000 else None)


def open_keys(options):
    """Makes the keys of an encrypted repository known. Whoever gives a key gets no repository in clear."""
    global KEYS
    root = read_document(options.repository, "repository")
    secret, given = read_secret(options), os.environ.get("SMCDR_REPOSITORY_KEY")
    if not root.get("encryption"):
        if secret or given:
            raise Damage("a key is given, and the repository is not encrypted")
        return
    if root["encryption"] != "aes-256-gcm-frames":
        raise Damage(f"the repository is encrypted with '{root['encryption']}', which this reader does not know")
    if not secret and not given:
        raise Damage("the repository is encrypted: give --key-file, or SMCDR_PASSPHRASE in the environment")
    keys = {}
    if given:
        key = base64.b64decode(given)
        keys[hkdf(key, b"", b"SmcDr key id 1", 8)] = key
    directory = os.path.join(options.repository, "keys")
    for key_id in sorted(os.listdir(directory)) if secret else []:
        for name in sorted(os.listdir(os.path.join(directory, key_id))):
            if name == "canary" or bytes.fromhex(key_id) in keys:
                continue
            envelope = read_document(options.repository, f"keys/{key_id}/{name}")
            identity = envelope["repositoryId"].lower()
            if identity != root["id"].lower() or envelope["keyId"] != key_id or envelope["name"] != name:
                continue
            wrapping = secret(envelope)
            if wrapping is None:
                continue
            wrapped = base64.b64decode(envelope["wrappedKey"])
            bound = "\0".join(["SmcDr recipient 1", identity, key_id, name]).encode()
            key = Gcm(wrapping).open(wrapped[:12], bound, wrapped[12:])
            if key and hkdf(key, b"", b"SmcDr key id 1", 8).hex() == key_id:
                keys[bytes.fromhex(key_id)] = key
    if not keys:
        raise Damage("the repository does not open with this key")
    KEYS = keys


class Encrypted:
    """An encrypted object: its header is proven, its frames are when they are read."""

    def __init__(self, file, key):
        self.file, self.key = file, key
        start = len(MAGIC) + 8 + 32 + 2
        fixed = file.read(start)
        if len(fixed) < start or not fixed.startswith(MAGIC):
            raise Damage(f"the object '{key}' does not begin as an encrypted object does")
        key_id, salt = fixed[len(MAGIC):][:8], fixed[len(MAGIC) + 8:][:32]
        name = file.read(int.from_bytes(fixed[-2:], "big"))
        self.tag = file.read(32)
        if key_id not in KEYS:
            raise Damage(f"the object '{key}' is encrypted with the key {key_id.hex()}, which was not opened")
        proof = hmac.new(hkdf(KEYS[key_id], salt, b"SmcDr object header 1"), fixed + name, hashlib.sha256).digest()
        if not hmac.compare_digest(proof, self.tag):
            raise Damage(f"the object '{key}' is damaged: its header is not authentic")
        if name.decode() != key:
            raise Damage(f"in the place of the object '{key}' lies the object '{name.decode()}'")
        self.cipher = Gcm(hkdf(KEYS[key_id], salt, b"SmcDr object content 1\0" + name))
        self.first = file.tell()
        frames = file.seek(0, os.SEEK_END) - self.first
        self.count = max(1, -(-frames // (FRAME + TAG)))
        self.length = frames - self.count * TAG
        if self.length < 0 or self.count != max(1, -(-self.length // FRAME)):
            raise Damage(f"the object '{key}' has a length that no object has: it was cut short, or something was appended")

    def read(self, at, length):
        """A part of the content; less where the object ends."""
        end = min(at + length, self.length)
        pieces = []
        # Nothing of an empty object is its end, which is proven all the same.
        for number in range(at // FRAME, max(1, -(-end // FRAME))):
            if number >= self.count:
                break
            self.file.seek(self.first + number * (FRAME + TAG))
            nonce = number.to_bytes(8, "big") + bytes(3) + (b"\x01" if number == self.count - 1 else b"\x00")
            content = self.cipher.open(nonce, self.tag, self.file.read(FRAME + TAG))
            if content is None:
                raise Damage(f"the object '{self.key}' is damaged, cut short or out of order in frame {number + 1} of {self.count}")
            pieces.append(content)
        skipped = at - at // FRAME * FRAME
        return b"".join(pieces)[skipped:skipped + max(0, end - at)]


# Objects


class Clear:
    """An object of a repository that is not encrypted."""

    def __init__(self, file):
        self.file = file
        self.length = file.seek(0, os.SEEK_END)

    def read(self, at, length):
        self.file.seek(at)
        return self.file.read(length)


class Object:
    """An object's content, whichever way it is stored; for the with statement."""

    def __init__(self, repository, key):
        try:
            self.file = open(os.path.join(repository, *key.split("/")), "rb")
        except FileNotFoundError:
            raise Damage(f"the object '{key}' is missing")
        self.key = key

    def __enter__(self):
        clear = KEYS is None or self.key == "repository" or self.key.startswith("keys/")
        try:
            return Clear(self.file) if clear else Encrypted(self.file, self.key)
        except BaseException:
            self.file.close()
            raise

    def __exit__(self, *_):
        self.file.close()


def read_object(repository, key):
    with Object(repository, key) as content:
        return content.read(0, content.length)


def open_envelope(content, key):
    """The JSON of an envelope line and what follows the line."""
    line, feed, rest = content.partition(b"\n")
    match = re.match(rb"sha256:([0-9a-f]{64}) ", line)
    if not feed or not match:
        raise Damage(f"the object '{key}' does not begin as it should")
    text = line[match.end():]
    if hashlib.sha256(text).hexdigest().encode() != match.group(1):
        raise Damage(f"the object '{key}' is damaged: its line does not match its digest")
    document = json.loads(text)
    if document["format"] > FORMAT:
        raise Damage(f"the object '{key}' has format {document['format']}; this reader knows up to {FORMAT}")
    return document, rest


def read_document(repository, key):
    document, rest = open_envelope(read_object(repository, key), key)
    if rest:
        raise Damage(f"the object '{key}' does not end where it should")
    return document


class Backup:
    """A complete backup, its marker checked."""

    def __init__(self, repository, folder, backup_id):
        self.repository = repository
        self.folder = folder
        self.id = backup_id
        root = read_document(repository, "repository")
        key = f"{folder}/{backup_id}/complete"
        self.marker = read_document(repository, key)
        self.header = self.marker["header"]
        if (self.header["id"] != backup_id or self.header["component"] != COMPONENTS[folder]
                or self.header["repositoryId"].lower() != root["id"].lower()):
            raise Damage(f"the object '{key}' is the marker of another backup")
        self.packs = []
        self.blocks = []
        self.entries = []
        self.cache = {}

    @property
    def is_file_store(self):
        return self.folder == "filestore"

    def read_manifest(self):
        key = f"{self.folder}/{self.id}/manifest"
        content = read_object(self.repository, key)
        if len(content) != self.marker["manifestLength"]:
            raise Damage(f"the manifest '{key}' has {len(content)} bytes and should have {self.marker['manifestLength']}")
        if hashlib.sha256(content).hexdigest() != self.marker["manifestHash"]:
            raise Damage(f"the manifest '{key}' does not match its digest in the marker")
        text = decompress(self.marker["manifestCodec"], content, f"the manifest '{key}'")
        try:
            self.read_lines(text)
        except (KeyError, TypeError, ValueError, IndexError) as e:
            raise Damage(f"the manifest '{key}' is not valid: {e!r}")

    def read_lines(self, text):
        if not text.endswith(b"\n"):
            raise ValueError("it ends too early")
        state = "begin"
        last = None
        files = size = 0
        ends = {}
        for raw in text[:-1].split(b"\n"):
            line = json.loads(raw)
            kind = line["t"]
            if state == "end" or (state == "begin") != (kind == "header") or (kind == "pack" and state == "body"):
                raise ValueError("its lines are not in order")
            if kind == "header":
                if line["header"]["id"] != self.id:
                    raise ValueError("it is the manifest of another backup")
                state = "packs"
            elif kind == "pack":
                if not ID.fullmatch(line["backup"]):
                    raise ValueError(f"it names the backup {line['backup']!r}")
                self.packs.append(line)
            elif kind == "block":
                state = "body"
                pack = self.packs[natural(line["pack"])]
                if not (0 <= line["at"] and 0 < line["stored"] and 0 < line["length"] <= MAXIMUM_BLOCK
                        and line["at"] + line["stored"] <= pack["length"]):
                    raise ValueError("a block lies outside its pack")
                if line.get("pageSize", MINIMUM_PAGE) < MINIMUM_PAGE:
                    raise ValueError(f"a block has pages of {line['pageSize']} bytes")
                if "hashes" in line:
                    number, first = line["hashes"]
                    if not (0 <= number < len(self.blocks) and 0 <= first < self.blocks[number]["length"]):
                        raise ValueError("the hashes of a block lie outside their own")
                self.blocks.append(line)
            elif kind in ("file", "dir", "link", "hard", "special"):
                state = "body"
                order = line["path"].encode("utf-16-be")
                if last is not None and order <= last:
                    raise ValueError(f"{line['path']!r} is not in order")
                last = order
                if kind == "file":
                    line["extents"] = self.whole_extents(line["extents"], ends)
                self.check_entry(line)
                self.entries.append(line)
                if kind == "file":
                    files += 1
                    size += line["size"]
            elif kind == "end":
                if (line["files"], line["bytes"]) != (files, size):
                    raise ValueError("its end does not agree with its lines")
                state = "end"
            else:
                raise ValueError(f"it has a line of the unknown kind {kind!r}")
        if state != "end":
            raise ValueError("it ends too early")

    @staticmethod
    def whole_extents(short, ends):
        """Extents with what was left out of them: block, first byte, length."""
        extents = []
        for numbers in short:
            if len(numbers) == 3:
                number, start, length = numbers
            elif len(numbers) == 2:
                number, length = numbers
                start = ends.get(number, 0)
            else:
                (length,) = numbers
                number, start, before = extents[-2] if len(extents) >= 2 else (-1, 0, 0)
                if number < 0:
                    raise ValueError("an extent goes on where none was")
                start += before + extents[-1][2]
            extents.append((number, start, length))
            if number >= 0:
                ends[number] = start + length
        return extents

    def check_entry(self, line):
        self.parts(line["path"])
        if line["t"] == "hard":
            self.parts(line["to"])
            if line["to"].encode("utf-16-be") >= line["path"].encode("utf-16-be"):
                raise ValueError(f"{line['path']!r} refers to what does not stand before it")
        elif line["t"] == "link":
            self.native(line["to"])
        if not 0 <= int(line.get("mode", "0"), 8) <= 0o7777:
            raise ValueError("a mode is none")
        if line["t"] == "file":
            total = 0
            for number, start, length in line["extents"]:
                if number < -1 or start < 0 or length <= 0 or (number >= 0 and start + length > self.blocks[number]["length"]):
                    raise ValueError("a part of a file lies outside its block")
                total += length
            if total != line["size"]:
                raise ValueError(f"the parts of {line['path']!r} do not make up its size")

    def native(self, text):
        """The bytes of a name or link target."""
        if "\0" in text:
            raise ValueError("a name holds a zero")
        if not self.is_file_store:
            return text.encode()
        name = re.sub(rb"%([0-9A-F]{2})", lambda match: bytes([int(match.group(1), 16)]), text.encode())
        if b"\0" in name or escape(name) != text:
            raise ValueError(f"{text!r} is not the form of any name")
        return name

    def parts(self, path):
        """The names that a path is made of, as bytes; refused where they could lead anywhere else."""
        if "\\" in path:
            raise ValueError(f"{path!r} leads out of the backup")
        names = [self.native(part) for part in path.split("/")]
        if any(name in (b"", b".", b"..") or b"/" in name for name in names):
            raise ValueError(f"{path!r} leads out of the backup")
        return names

    # Content

    def pack_key(self, pack):
        return f"{self.folder}/{pack['backup']}/pack-{pack['pack']:06d}"

    def check_packs(self):
        for pack in self.packs:
            key = self.pack_key(pack)
            with Object(self.repository, key) as content:
                if content.length != pack["length"]:
                    raise Damage(f"the object '{key}' has {content.length} bytes and should have {pack['length']}")

    def read_stored(self, number):
        block = self.blocks[number]
        key = self.pack_key(self.packs[block["pack"]])
        with Object(self.repository, key) as content:
            stored = content.read(block["at"], block["stored"])
        where = f"the object '{key}' between bytes {block['at']} and {block['at'] + block['stored']}"
        if len(stored) != block["stored"] or crc32c(stored) != int(block["crc32c"], 16):
            raise Damage(f"{where} is damaged")
        return stored, where

    def load_blocks(self, numbers):
        """Blocks of one codec are decompressed in one go: frames one behind the other are one valid file."""
        by_codec = {}
        for number in numbers:
            by_codec.setdefault(self.blocks[number]["codec"], []).append(number)
        for codec, group in by_codec.items():
            stored = [self.read_stored(number) for number in group]
            content = decompress(codec, b"".join(data for data, _ in stored), stored[0][1])
            at = 0
            for number, (_, where) in zip(group, stored):
                block = self.blocks[number]
                data = content[at:at + block["length"]]
                at += block["length"]
                if block_digest(block, data) != block["sha256"]:
                    raise Damage(f"{where} is damaged: its content does not match its digest")
                self.cache[number] = data
            if at != len(content):
                raise Damage(f"{stored[0][1]} is damaged: there is more content than there should be")

    def block(self, number):
        if number not in self.cache:
            if len(self.cache) >= BLOCKS_KEPT:
                self.cache.clear()
            # Blocks are numbered in the order of their first use.
            last = min(number + BLOCKS_AT_ONCE, len(self.blocks))
            self.load_blocks([n for n in range(number, last) if n not in self.cache])
        return self.cache[number]

    def content(self, entry):
        """The content of a file, in order: bytes, or the number of zeros."""
        digest = hashlib.sha256() if "sha256" in entry else None
        for number, start, length in entry["extents"]:
            piece = length if number < 0 else self.block(number)[start:start + length]
            if digest:
                digest.update(bytes(length) if number < 0 else piece)
            yield piece
        if digest and digest.hexdigest() != entry["sha256"]:
            raise Damage(f"the content of {entry['path']!r} does not match its digest")


def natural(number):
    if number < 0:
        raise ValueError("a number is negative")
    return number


def escape(name):
    """The text of a name in a file store."""
    text = []
    for character in name.decode("utf-8", "surrogateescape"):
        if "\udc80" <= character <= "\udcff":
            text.append(f"%{ord(character) - 0xDC00:02X}")
        elif character in "%\\":
            text.append(f"%{ord(character):02X}")
        else:
            text.append(character)
    return "".join(text)


def find_backup(repository, name):
    folder, slash, backup_id = name.rpartition("/")
    if not ID.fullmatch(backup_id) or (slash and folder not in COMPONENTS):
        raise Damage(f"'{name}' is not the id of a backup, such as 20261122T081500Z-full")
    folders = [folder] if slash else [f for f in COMPONENTS if os.path.exists(os.path.join(repository, f, backup_id, "complete"))]
    if len(folders) != 1:
        raise Damage(f"there are several backups '{name}': write the component before it, as in filestore/{name}" if folders
                     else f"there is no complete backup '{name}'")
    return Backup(repository, folders[0], backup_id)


# Safe extraction: every directory is reached from the target name by name, never through a link.


class Target:
    def __init__(self, path):
        os.makedirs(path, exist_ok=True)
        self.root = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        if os.listdir(self.root):
            raise Damage(f"'{path}' is not empty")

    def open(self, names, create=True):
        """An open directory, which the caller closes."""
        current = os.dup(self.root)
        for name in names:
            try:
                if create:
                    try:
                        os.mkdir(name, 0o700, dir_fd=current)
                    except FileExistsError:
                        pass
                below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=current)
            except OSError as e:
                raise Damage(f"'{os.fsdecode(b'/'.join(names))}' cannot be entered: {e.strerror}")
            finally:
                os.close(current)
            current = below
        return current


def split_time(text):
    seconds, _, nanoseconds = text.partition(".")
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


def account_id(name, number, kind):
    try:
        if kind == "user":
            import pwd
            return pwd.getpwnam(name).pw_uid
        import grp
        return grp.getgrnam(name).gr_gid
    except (KeyError, TypeError):
        return number


class Extractor:
    def __init__(self, backup, target):
        self.backup = backup
        self.target = Target(target)
        self.problems = 0

    def extract(self, entries):
        wanted = {entry["path"] for entry in entries}
        instead = {}
        for entry in entries:
            if entry["t"] == "hard" and entry["to"] not in wanted:
                instead.setdefault(entry["to"], entry["path"])
        files = {entry["path"]: entry for entry in self.backup.entries if entry["t"] == "file" and entry["path"] in instead}
        for entry in entries:
            names = self.backup.parts(entry["path"])
            if entry["t"] == "dir":
                os.close(self.target.open(names))
                continue
            directory = self.target.open(names[:-1])
            try:
                if entry["t"] == "file":
                    self.make_file(entry, directory, names[-1])
                elif entry["t"] == "hard":
                    place = instead.get(entry["to"], entry["to"])
                    if place == entry["path"]:
                        self.make_file(files[entry["to"]], directory, names[-1])
                    else:
                        self.make_hard_link(place, directory, names[-1])
                elif entry["t"] == "link":
                    os.symlink(self.backup.native(entry["to"]), names[-1], dir_fd=directory)
                    self.apply_by_name(entry, directory, names[-1])
                else:
                    self.make_special(entry, directory, names[-1])
            except FileExistsError:
                raise Damage(f"'{entry['path']}' is there already")
            finally:
                os.close(directory)
        # The deepest first: a mode may forbid to enter.
        for entry in reversed([entry for entry in entries if entry["t"] == "dir"]):
            directory = self.target.open(self.backup.parts(entry["path"]), create=False)
            self.apply(entry, directory)
            os.close(directory)
        details = self.backup.header.get("fileStore")
        if self.backup.header.get("database"):
            os.fchmod(self.target.root, self.backup.header["database"]["directoryMode"])
        if details:
            self.apply({"path": ".", "mode": details["rootMode"], "node": details["root"]}, self.target.root)
        os.sync()

    def make_file(self, entry, directory, name):
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=directory)
        try:
            sparse = entry.get("node", {}).get("sparse", False)
            at = 0
            for piece in self.backup.content(entry):
                if isinstance(piece, int):
                    at += piece
                    continue
                step = 4096 if sparse else len(piece)
                for start in range(0, len(piece), step):
                    part = piece[start:start + step]
                    if not sparse or part.strip(b"\0"):
                        while part:
                            written = os.pwrite(file, part, at + start)
                            start += written
                            part = part[written:]
                at += len(piece)
            os.ftruncate(file, at)
            self.apply(entry, file)
        finally:
            os.close(file)

    def make_hard_link(self, place, directory, name):
        names = self.backup.parts(place)
        source = self.target.open(names[:-1], create=False)
        try:
            os.link(names[-1], name, src_dir_fd=source, dst_dir_fd=directory, follow_symlinks=False)
        finally:
            os.close(source)

    def make_special(self, entry, directory, name):
        node = entry["node"]
        kinds = {"fifo": stat.S_IFIFO, "char": stat.S_IFCHR, "block": stat.S_IFBLK}
        try:
            os.mknod(name, kinds[node["type"]] | 0o600, os.makedev(node.get("major", 0), node.get("minor", 0)), dir_fd=directory)
        except PermissionError as e:
            self.problem(entry, e)
            return
        self.apply_by_name(entry, directory, name)

    def owner(self, node):
        return (account_id(node.get("user"), node["uid"], "user"), account_id(node.get("group"), node["gid"], "group"))

    def apply(self, entry, file):
        """Owner, attributes, mode, access control lists, times: each may undo what comes after it, so in this order."""
        node = entry.get("node")
        mode = int(entry["mode"], 8)
        if node:
            user, group = self.owner(node)
            if os.geteuid() == 0:
                self.attempt(entry, os.chown, file, user, group)
            now = os.fstat(file)
            if now.st_uid != user:
                mode &= ~stat.S_ISUID
            if now.st_gid != group:
                mode &= ~stat.S_ISGID
            self.attributes(entry, node, file, True)
        self.attempt(entry, os.fchmod, file, mode)
        if node:
            self.attributes(entry, node, file, False)
            self.attempt(entry, os.utime, file, ns=(os.fstat(file).st_atime_ns, split_time(node["modified"])))

    def apply_by_name(self, entry, directory, name):
        node = entry.get("node")
        if not node:
            return
        if os.geteuid() == 0:
            self.attempt(entry, os.chown, name, *self.owner(node), dir_fd=directory, follow_symlinks=False)
        if entry["t"] == "special":
            # Made by this program just now, in a directory that nobody else can enter yet.
            self.attempt(entry, os.chmod, name, int(entry["mode"], 8) & 0o1777, dir_fd=directory)
        now = os.stat(name, dir_fd=directory, follow_symlinks=False).st_atime_ns
        self.attempt(entry, os.utime, name, ns=(now, split_time(node["modified"])), dir_fd=directory, follow_symlinks=False)
        for attribute, value in (node.get("attributes") or {}).items():
            path = b"/proc/self/fd/%d/" % directory + name
            self.attempt(entry, os.setxattr, path, self.backup.native(attribute), base64.b64decode(value), follow_symlinks=False)

    def attributes(self, entry, node, file, of_users):
        for name, value in (node.get("attributes") or {}).items():
            if name.startswith("user.") == of_users:
                self.attempt(entry, os.setxattr, file, self.backup.native(name), base64.b64decode(value))

    def attempt(self, entry, action, *arguments, **options):
        try:
            action(*arguments, **options)
        except OSError as e:
            self.problem(entry, e)

    def problem(self, entry, e):
        self.problems += 1
        print(f"smcdr-read.py: warning: {entry['path']!r}: {e.strerror}", file=sys.stderr)


# Patterns


def matches(pattern, names):
    if not pattern:
        return not names
    if pattern[0] == "**":
        return any(matches(pattern[1:], names[i:]) for i in range(len(names) + 1))
    return bool(names) and fnmatch.fnmatchcase(names[0], pattern[0]) and matches(pattern[1:], names[1:])


def wanted(backup, entry, patterns):
    names = [name.decode("utf-8", "replace") for name in backup.parts(entry["path"])]
    for text in patterns:
        pattern = text.strip("/").split("/")
        if len(pattern) == 1 and not text.startswith("/"):
            pattern = ["**"] + pattern
        # "[" has no meaning here, other than in fnmatch.
        pattern = [part.replace("[", "[[]") for part in pattern]
        if any(matches(pattern, names[:end]) for end in range(1, len(names) + 1)):
            return True
    return False


# Commands


def command_list(options):
    read_document(options.repository, "repository")
    damaged = False
    for folder in COMPONENTS:
        directory = os.path.join(options.repository, folder)
        for backup_id in sorted(os.listdir(directory)) if os.path.isdir(directory) else []:
            if not ID.fullmatch(backup_id):
                continue
            name = f"{folder}/{backup_id}"
            if not os.path.exists(os.path.join(directory, backup_id, "complete")):
                print(f"{name}\tincomplete")
                continue
            try:
                header = Backup(options.repository, folder, backup_id).header
            except Damage as e:
                damaged = True
                print(f"{name}\tdamaged: {e}")
                continue
            logical = header.get("logical") or {}
            partial = ((header.get("fileStore") or {}).get("unreadableCount", 0) > 0 or bool(logical.get("failures"))
                       or any(database.get("excludedTables") for database in logical.get("databases", [])))
            print(f"{name}\t{'partial' if partial else 'complete'}\t{header['kind']}\t{header['fileCount']} files"
                  f"\t{header['sizeBytes']} bytes\t{header.get('label') or ''}")
    return 1 if damaged else 0


def command_show(options):
    backup = find_backup(options.repository, options.backup)
    backup.read_manifest()
    print(json.dumps(backup.header, indent=2, ensure_ascii=False))
    for entry in backup.entries:
        names = [json.dumps(entry[key], ensure_ascii=False) for key in ("path", "to") if key in entry]
        print(f"{entry['t']}\t{entry.get('mode', '')}\t{entry.get('size', '')}\t{' -> '.join(names)}")
    return 0


def command_extract(options):
    backup = find_backup(options.repository, options.backup)
    backup.read_manifest()
    backup.check_packs()
    entries = [entry for entry in backup.entries if not options.pattern or wanted(backup, entry, options.pattern)]
    if options.pattern and not entries:
        raise Damage("nothing matches")
    extractor = Extractor(backup, options.target)
    extractor.extract(entries)
    print(f"{sum(entry['t'] in ('file', 'hard') for entry in entries)} files")
    return 2 if extractor.problems else 0


def block_digest(block, content):
    """The digest of a block's content; where it has pages, of their digests."""
    if "pageSize" not in block:
        return hashlib.sha256(content).hexdigest()
    size = block["pageSize"]
    return hashlib.sha256(b"".join(
        hashlib.sha256(content[at:at + size]).digest() for at in range(0, len(content), size))).hexdigest()


def verify_pages(backup, number, hash_blocks):
    """Whether the hashes of a block's pages are those of its content; how many there are."""
    block = backup.blocks[number]
    if "hashes" not in block:
        return 0
    content = backup.cache[number]
    size = backup.header["database"]["blockSize"]
    entries = b"".join(
        hashlib.sha256(content[at:at + size]).digest()[:16] + content[at:at + min(10, size)].ljust(10, b"\0")
        for at in range(0, len(content), size))
    where, first = block["hashes"]
    if hash_blocks[where][first:first + len(entries)] != entries:
        raise Damage(f"the hashes of pages of block {number} are not those of its content")
    return len(entries) // 26


def command_verify(options):
    backup = find_backup(options.repository, options.backup)
    backup.read_manifest()
    backup.check_packs()
    for pack in backup.packs:
        key = backup.pack_key(pack)
        digest = hashlib.sha256()
        with Object(options.repository, key) as content:
            for at in range(0, content.length, 1 << 20):
                digest.update(content.read(at, 1 << 20))
        if digest.hexdigest() != pack["sha256"]:
            raise Damage(f"the object '{key}' does not match its digest in the manifest")
    hash_blocks = {}
    for number in sorted({block["hashes"][0] for block in backup.blocks if "hashes" in block}):
        backup.load_blocks([number])
        hash_blocks[number] = backup.cache.pop(number)
    pages = 0
    for first in range(0, len(backup.blocks), BLOCKS_AT_ONCE):
        numbers = range(first, min(first + BLOCKS_AT_ONCE, len(backup.blocks)))
        backup.load_blocks(numbers)
        for number in numbers:
            pages += verify_pages(backup, number, hash_blocks)
        backup.cache.clear()
    for entry in backup.entries:
        if entry["t"] == "file" and "sha256" in entry:
            for _ in backup.content(entry):
                pass
    print(f"{len(backup.packs)} packs, {len(backup.blocks)} blocks with {pages} hashes of pages and {len(backup.entries)} entries are as they should be")
    return 0


def position(lsn):
    high, low = lsn.split("/")
    return int(high, 16) << 32 | int(low, 16)


def read_wal(repository, root, system_id, segment, name):
    """The head and the WAL of an object."""
    key = f"wal/{system_id}/{segment[:8]}/{name}"
    head, payload = open_envelope(read_object(repository, key), key)
    size = head["walSegmentSize"]
    begin = (int(segment[8:16], 16) * (0x100000000 // size) + int(segment[16:], 16)) * size
    start, end = (int(part, 16) for part in name[25:].split("-")) if len(name) > 24 else (0, size)
    if (head["repositoryId"].lower() != root["id"].lower() or head["systemId"] != str(system_id) or head["name"] != segment
            or head["timeline"] != int(segment[:8], 16) or position(head["start"]) != begin + start
            or position(head["end"]) != begin + end or head["length"] != end - start):
        raise Damage(f"the object '{key}' is not the one that its name says")
    if len(payload) != head["stored"]:
        raise Damage(f"the object '{key}' has a payload of {len(payload)} bytes and should have {head['stored']}")
    if crc32c(payload) != head["crc32C"]:
        raise Damage(f"the object '{key}' is damaged")
    content = decompress(head["codec"], payload, f"the object '{key}'")
    if len(content) != head["length"] or hashlib.sha256(content).hexdigest() != head["sha256"]:
        raise Damage(f"the object '{key}' is damaged: its content does not match its digest")
    return size, start, content


def command_wal(options):
    root = read_document(options.repository, "repository")
    segment = options.segment
    if not SEGMENT.fullmatch(segment) or not options.system_id.isascii() or not options.system_id.isdigit():
        raise Damage("a segment has 24 hexadecimal digits in upper case, and a system id is a decimal number")
    directory = os.path.join(options.repository, "wal", options.system_id, segment[:8])
    names = os.listdir(directory) if os.path.isdir(directory) else []
    pieces = sorted(name for name in names if re.fullmatch(segment + r"\.[0-9A-F]{8}-[0-9A-F]{8}", name))
    if segment in names:
        _, _, wal = read_wal(options.repository, root, options.system_id, segment, segment)
    elif pieces:
        size, wal = 0, bytearray()
        for name in pieces:
            size, start, content = read_wal(options.repository, root, options.system_id, segment, name)
            if start > len(wal):
                print(f"smcdr-read.py: warning: no piece begins at {len(wal):08X}; what lies behind is not used", file=sys.stderr)
                break
            shared = min(len(wal) - start, len(content))
            if wal[start:start + shared] != content[:shared]:
                raise Damage(f"the pieces of '{segment}' do not agree")
            wal += content[shared:]
        print(f"{segment} was never completed: {len(wal)} bytes of it, filled with zeros", file=sys.stderr)
        wal += bytes(size - len(wal))
    else:
        raise Damage(f"there is no WAL segment '{segment}' of system {options.system_id}")
    with open(options.outfile, "xb") as file:
        file.write(wal)
        file.flush()
        os.fsync(file.fileno())
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, run, arguments in (
            ("list", command_list, ["repository"]),
            ("show", command_show, ["repository", "backup"]),
            ("extract", command_extract, ["repository", "backup", "target", "pattern"]),
            ("verify", command_verify, ["repository", "backup"]),
            ("wal", command_wal, ["repository", "system_id", "segment", "outfile"])):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        command.add_argument("--key-file", metavar="FILE")
        for argument in arguments:
            command.add_argument(argument, nargs="*" if argument == "pattern" else None)
    options = parser.parse_args()
    try:
        open_keys(options)
        return options.run(options)
    except Damage as e:
        print(f"smcdr-read.py: {e}", file=sys.stderr)
    except (KeyError, ValueError, TypeError) as e:
        print(f"smcdr-read.py: a document is not valid: {e!r}", file=sys.stderr)
    except FileNotFoundError as e:
        print(f"smcdr-read.py: there is no '{e.filename}'", file=sys.stderr)
    except FileExistsError as e:
        print(f"smcdr-read.py: '{e.filename}' is there already", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
