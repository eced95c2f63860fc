"""A small CLAP host in ctypes, since no package has one; its structures are those of `clap.c`."""

import ctypes
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_bool,
    c_char,
    c_char_p,
    c_double,
    c_float,
    c_int16,
    c_int32,
    c_int64,
    c_uint16,
    c_uint32,
    c_uint64,
    c_void_p,
    cast,
)

import numpy as np

Version = c_uint32 * 3
Buffers = POINTER(c_float)


class Descriptor(Structure):
    _fields_ = [("version", Version)] + [(name, c_char_p) for name in ("id", "name", "vendor")]


class HostData(Structure):
    _fields_ = [
        ("version", Version),
        ("data", c_void_p),
        *[(name, c_char_p) for name in ("name", "vendor", "url", "host_version")],
        ("get_extension", c_void_p),
        *[(name, c_void_p) for name in ("request_restart", "request_process", "request_callback")],
    ]


class PluginData(Structure):
    _fields_ = [
        ("descriptor", POINTER(Descriptor)),
        ("data", c_void_p),
        ("init", CFUNCTYPE(c_bool, c_void_p)),
        ("destroy", CFUNCTYPE(None, c_void_p)),
        ("activate", CFUNCTYPE(c_bool, c_void_p, c_double, c_uint32, c_uint32)),
        ("deactivate", CFUNCTYPE(None, c_void_p)),
        ("start_processing", CFUNCTYPE(c_bool, c_void_p)),
        ("stop_processing", CFUNCTYPE(None, c_void_p)),
        ("reset", CFUNCTYPE(None, c_void_p)),
        ("process", CFUNCTYPE(c_int32, c_void_p, c_void_p)),
        ("get_extension", CFUNCTYPE(c_void_p, c_void_p, c_char_p)),
        ("on_main_thread", c_void_p),
    ]


class Factory(Structure):
    _fields_ = [
        ("count", CFUNCTYPE(c_uint32, c_void_p)),
        ("descriptor", CFUNCTYPE(POINTER(Descriptor), c_void_p, c_uint32)),
        ("create", CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_char_p)),
    ]


class Entry(Structure):
    _fields_ = [
        ("version", Version),
        ("init", CFUNCTYPE(c_bool, c_char_p)),
        ("deinit", CFUNCTYPE(None)),
        ("get_factory", CFUNCTYPE(c_void_p, c_char_p)),
    ]


class ParameterInfo(Structure):
    _fields_ = [("id", c_uint32), ("flags", c_uint32), ("cookie", c_void_p), ("name", c_char * 256)]
    _fields_ += [("module", c_char * 1024), ("least", c_double), ("most", c_double), ("normal", c_double)]


class Parameters(Structure):
    _fields_ = [
        ("count", CFUNCTYPE(c_uint32, c_void_p)),
        ("info", CFUNCTYPE(c_bool, c_void_p, c_uint32, POINTER(ParameterInfo))),
        ("value", CFUNCTYPE(c_bool, c_void_p, c_uint32, POINTER(c_double))),
        ("to_text", CFUNCTYPE(c_bool, c_void_p, c_uint32, c_double, c_char_p, c_uint32)),
        ("from_text", CFUNCTYPE(c_bool, c_void_p, c_uint32, c_char_p, POINTER(c_double))),
    ]


class Configs(Structure):
    _fields_ = [("count", c_void_p), ("get", c_void_p), ("select", CFUNCTYPE(c_bool, c_void_p, c_uint32))]


class Latency(Structure):
    _fields_ = [("get", CFUNCTYPE(c_uint32, c_void_p))]


WRITE = CFUNCTYPE(c_int64, c_void_p, c_void_p, c_uint64)


class Stream(Structure):
    _fields_ = [("context", c_void_p), ("move", WRITE)]


class State(Structure):
    _fields_ = [(name, CFUNCTYPE(c_bool, c_void_p, POINTER(Stream))) for name in ("save", "load")]


class ValueEvent(Structure):
    _fields_ = [
        ("size", c_uint32),
        ("time", c_uint32),
        ("space", c_uint16),
        ("type", c_uint16),
        ("flags", c_uint32),
    ]
    _fields_ += [("parameter", c_uint32), ("cookie", c_void_p), ("note", c_int32), ("port", c_int16)]
    _fields_ += [("channel", c_int16), ("key", c_int16), ("value", c_double)]


SIZE, GET = CFUNCTYPE(c_uint32, c_void_p), CFUNCTYPE(c_void_p, c_void_p, c_uint32)


class Events(Structure):
    _fields_ = [("context", c_void_p), ("size", SIZE), ("get", GET)]


class Buffer(Structure):
    _fields_ = [
        ("data32", POINTER(Buffers)),
        ("data64", c_void_p),
        ("channels", c_uint32),
        ("latency", c_uint32),
    ]
    _fields_ += [("constant_mask", c_uint64)]


class ProcessData(Structure):
    _fields_ = [
        ("steady_time", c_int64),
        ("frames", c_uint32),
        ("transport", c_void_p),
        ("inputs", POINTER(Buffer)),
        ("outputs", POINTER(Buffer)),
        ("input_count", c_uint32),
        ("output_count", c_uint32),
        ("in_events", POINTER(Events)),
        ("out_events", c_void_p),
    ]


class ClapPlugin:
    """One instance of the first plugin in a file."""

    def __init__(self, path, channels=2):
        self._library = ctypes.CDLL(str(path))
        entry = Entry.in_dll(self._library, "clap_entry")
        assert entry.init(str(path).encode())
        factory = cast(entry.get_factory(b"clap.plugin-factory"), POINTER(Factory)).contents
        address = ctypes.addressof(factory)
        assert factory.count(address) == 1
        self.descriptor = factory.descriptor(address, 0).contents
        self._host = HostData(Version(1, 1, 0), None, b"tests", b"nmfaudio", b"", b"1")
        nothing = CFUNCTYPE(c_void_p, c_void_p, c_char_p)(lambda host, name: None)
        ignore = CFUNCTYPE(None, c_void_p)(lambda host: None)
        self._kept = (nothing, ignore)
        self._host.get_extension = cast(nothing, c_void_p)
        self._host.request_restart = cast(ignore, c_void_p)
        self._at = factory.create(address, ctypes.addressof(self._host), self.descriptor.id)
        self._plugin = cast(self._at, POINTER(PluginData)).contents
        self.channels = channels
        assert self._plugin.init(self._at)
        assert self._extension(b"clap.audio-ports-config", Configs).select(self._at, channels)
        self._parameters = self._extension(b"clap.params", Parameters)

    def close(self):
        self._plugin.destroy(self._at)

    def _extension(self, name, kind):
        return cast(self._plugin.get_extension(self._at, name), POINTER(kind)).contents

    @property
    def parameters(self):
        """Information by name."""
        found = {}
        for index in range(self._parameters.count(self._at)):
            info = ParameterInfo()
            assert self._parameters.info(self._at, index, info)
            found[info.name.decode()] = info
        return found

    def value(self, name):
        found = c_double()
        assert self._parameters.value(self._at, self.parameters[name].id, found)
        return found.value

    def text(self, name, value):
        room = ctypes.create_string_buffer(64)
        assert self._parameters.to_text(self._at, self.parameters[name].id, value, room, 64)
        return room.value.decode()

    def activate(self, rate):
        assert self._plugin.activate(self._at, rate, 1, 8192)
        assert self._plugin.start_processing(self._at)

    def deactivate(self):
        self._plugin.stop_processing(self._at)
        self._plugin.deactivate(self._at)

    @property
    def latency(self):
        return self._extension(b"clap.latency", Latency).get(self._at)

    def process(self, samples, **values):
        """Process samples; `values` are parameters that change at their start."""
        output = np.empty_like(samples)
        known = self.parameters
        events = [
            ValueEvent(ctypes.sizeof(ValueEvent), 0, 0, 5, 0, known[name].id, None, -1, -1, -1, -1, value)
            for name, value in values.items()
        ]
        listed = Events(
            None, SIZE(lambda _: len(events)), GET(lambda _, index: ctypes.addressof(events[index]))
        )
        rows = [[row.ctypes.data_as(Buffers) for row in array] for array in (samples, output)]
        pointers = [(Buffers * len(row))(*row) for row in rows]
        buffers = [Buffer(cast(p, POINTER(Buffers)), None, self.channels, 0, 0) for p in pointers]
        data = ProcessData(
            0, samples.shape[1], None, ctypes.pointer(buffers[0]), ctypes.pointer(buffers[1]), 1, 1
        )
        data.in_events = ctypes.pointer(listed)
        assert self._plugin.process(self._at, ctypes.addressof(data)) == 1
        return output

    def save(self, piece=1000):
        """Return the state, taken in small pieces as a host may."""
        parts = []

        def write(_, address, size):
            parts.append(ctypes.string_at(address, min(size, piece)))
            return len(parts[-1])

        assert self._extension(b"clap.state", State).save(self._at, Stream(None, WRITE(write)))
        return b"".join(parts)

    def load(self, state, piece=777):
        """Give a state in small pieces; return whether the plugin took it."""
        place = 0

        def read(_, address, size):
            nonlocal place
            part = state[place : place + min(size, piece)]
            ctypes.memmove(address, part, len(part))
            place += len(part)
            return len(part)

        return self._extension(b"clap.state", State).load(self._at, Stream(None, WRITE(read)))
