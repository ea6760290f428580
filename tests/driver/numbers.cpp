// The driver's number helpers as a filter: binary values in, binary results out.
// numbers half-from-double | half-from-float | float-from-half | quotient | requantize

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "half.h"
#include "kernels/quantize.h"

using namespace nnapi;

namespace {

template <class T>
std::vector<T> readAll() {
    std::vector<T> values;
    T buffer[4096];
    for (size_t n; (n = std::fread(buffer, sizeof(T), 4096, stdin)) > 0;) {
        values.insert(values.end(), buffer, buffer + n);
    }
    return values;
}

template <class T>
int writeAll(const std::vector<T>& values) {
    return std::fwrite(values.data(), sizeof(T), values.size(), stdout) == values.size() ? 0 : 1;
}

}  // namespace

int main(int, char** arguments) {
    const char* mode = arguments[1];
    if (std::strcmp(mode, "half-from-double") == 0) {
        std::vector<Half> result;
        for (double value : readAll<double>()) result.push_back(toHalf(value));
        return writeAll(result);
    }
    if (std::strcmp(mode, "half-from-float") == 0) {
        const auto values = readAll<float>();
        std::vector<Half> result(values.size());
        toHalf(values.data(), result.data(), values.size());
        return writeAll(result);
    }
    if (std::strcmp(mode, "float-from-half") == 0) {
        const auto values = readAll<Half>();
        std::vector<float> result;
        for (Half value : values) result.push_back(toFloat(value));
        std::vector<float> bulk(values.size());
        toFloat(values.data(), bulk.data(), values.size());
        result.insert(result.end(), bulk.begin(), bulk.end());
        return writeAll(result);
    }
    const auto values = readAll<double>();  // triples a, b, divisor
    std::vector<double> result;
    for (size_t i = 0; i + 3 <= values.size(); i += 3) {
        if (std::strcmp(mode, "quotient") == 0) {
            result.push_back(roundQuotient(values[i], values[i + 1], values[i + 2]));
            continue;
        }
        Tensor output;
        output.type = TENSOR_INT32;
        output.scale = static_cast<float>(values[i + 2]);
        const Requantizer requantize(values[i + 1], output, ANEURALNETWORKS_FUSED_NONE);
        result.push_back(requantize(static_cast<int64_t>(values[i])));
    }
    return writeAll(result);
}
