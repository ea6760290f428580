"""`python -m benchmarks`: every figure the project promises, one line each."""

from benchmarks import adb, mobilenet, suite

suite.counts()
suite.lines()
suite.isolation()
suite.speed()
mobilenet.main([])
adb.main([])
