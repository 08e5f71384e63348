package org.dit4j.io;

import java.util.Set;

/**
 * Names that no file of weights needs and by which one can run programs in Python. Nothing here runs any name, so nothing depends on this list
 * being complete: it is for saying that a file is an attack on others.
 */
final class DangerousNames {
    /** All that is in these modules, and in those below them. */
    private static final Set<String> MODULES = Set.of(
            "os",
            "posix",
            "nt",
            "ntpath",
            "posixpath",
            "sys",
            "subprocess",
            "_posixsubprocess",
            "pty",
            "commands",
            "popen2",
            "shutil",
            "socket",
            "ctypes",
            "_ctypes",
            "importlib",
            "runpy",
            "imp",
            "pkgutil",
            "zipimport",
            "code",
            "codeop",
            "bdb",
            "pdb",
            "cProfile",
            "profile",
            "timeit",
            "trace",
            "doctest",
            "pydoc",
            "webbrowser",
            "marshal",
            "pickle",
            "_pickle",
            "cloudpickle",
            "dill",
            "joblib",
            "multiprocessing",
            "asyncio",
            "threading",
            "_thread",
            "urllib.request",
            "urllib2",
            "requests",
            "httplib",
            "http",
            "ftplib",
            "smtplib",
            "telnetlib",
            "xmlrpc",
            "aiohttp",
            "httpx",
            "fileinput",
            "linecache",
            "pip",
            "setuptools",
            "distutils",
            "ensurepip",
            "venv",
            "site",
            "idlelib",
            "lib2to3",
            "types",
            "_winapi",
            "winreg");
    /** These alone in their modules. */
    private static final Set<String> NAMES = Set.of(
            "io.open",
            "io.FileIO",
            "_io.open",
            "_io.FileIO",
            "operator.attrgetter",
            "operator.methodcaller",
            "functools.reduce",
            "torch.load",
            "torch.jit.load",
            "torch.package.PackageImporter",
            "numpy.load",
            "numpy.testing._private.utils.runstring",
            "pandas.eval",
            "uuid._popen");
    /** All of Python's own functions but these, which make data. */
    private static final Set<String> BUILTIN_DATA = Set.of(
            "int",
            "float",
            "complex",
            "bool",
            "str",
            "list",
            "dict",
            "tuple",
            "object",
            "slice",
            "range",
            "type",
            "bytearray",
            "Ellipsis",
            "set",
            "frozenset",
            "bytes",
            "xrange",
            "unicode",
            "long",
            "reversed",
            "enumerate",
            "memoryview",
            "property",
            "staticmethod",
            "classmethod",
            "super",
            "NotImplemented",
            "print",
            "sum",
            "max",
            "min",
            "len",
            "abs",
            "round",
            "sorted",
            "zip",
            "map",
            "filter",
            "getattr"); // its use is looked at

    private DangerousNames() {}

    static boolean runProgram(String module, String name) {
        if (module.equals("builtins") || module.equals("__builtin__"))
            return !BUILTIN_DATA.contains(name) && !name.matches("[A-Z][A-Za-z]*(Error|Exception|Warning)");
        String qualified = module + "." + name;
        if (qualified.equals("types.SimpleNamespace") || qualified.equals("types.MappingProxyType")) return false;
        if (NAMES.contains(qualified) || qualified.startsWith("torch.hub.")) return true;
        for (String part = module; ; part = part.substring(0, part.lastIndexOf('.'))) {
            if (MODULES.contains(part)) return true;
            if (part.indexOf('.') < 0) return false;
        }
    }
}
