"""Certificates that a test makes for itself, with the program openssl."""

import pathlib
import subprocess

KEYS = {
    "ecdsa": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "rsa": ["-newkey", "rsa:2048"],
    "ed25519": ["-newkey", "ed25519"],
}


def openssl(*arguments, text=None, check=True):
    return subprocess.run(
        ["openssl", *map(str, arguments)],
        input=text or "",
        capture_output=True,
        text=True,
        timeout=20,
        check=check,
    )


class Authority:
    """A root in `folder`, and what it issues."""

    def __init__(self, folder, name="root"):
        self.folder = pathlib.Path(folder)
        self.name = name
        self.cert = self.folder / f"{name}.ca.crt"
        self.key = self.folder / f"{name}.ca.key"
        arguments = ["-keyout", self.key, "-out", self.cert, "-days", 3650, "-subj", f"/CN={name}"]
        openssl("req", "-x509", "-nodes", *KEYS["ecdsa"], *arguments)

    def issue(self, name, names, kind="ecdsa", days=365):
        """Writes NAME.crt and NAME.key; gives their paths as the configuration has them. Days below 0: expired."""
        request, cert, key = (self.folder / f"{name}.{ending}" for ending in ("csr", "crt", "key"))
        openssl("req", "-new", "-nodes", *KEYS[kind], "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={names}\n")
        made = ["-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-extfile", extensions, "-days", days]
        openssl("x509", "-req", "-in", request, "-out", cert, *made)
        return {"cert": str(cert), "key": str(key)}
