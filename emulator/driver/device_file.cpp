// The description of more devices, an INI-like text; README.md explains the keys.
//
//     [nnapi-float]
//     type = gpu
//     level = 3
//     types = float
//     operations = ADD MUL CONV_2D
//     performance = 0.5

#include <cmath>
#include <cstdlib>
#include <sstream>

#include "device.h"
#include "error.h"

namespace nnapi {
namespace {

/// Devices are bits of Operation::devices.
constexpr size_t kMostDevices = 32;

struct Named {
    const char* name;
    int32_t code;
};

#define NNAPI_NAMED(name, code, since) {#name, code},
constexpr Named kOperations[] = {NNAPI_OPERATIONS(NNAPI_NAMED)};
constexpr Named kTypes[] = {NNAPI_OPERAND_TYPES(NNAPI_NAMED)};
#undef NNAPI_NAMED
constexpr Named kDeviceTypes[] = {
    {"other", ANEURALNETWORKS_DEVICE_OTHER},
    {"cpu", ANEURALNETWORKS_DEVICE_CPU},
    {"gpu", ANEURALNETWORKS_DEVICE_GPU},
    {"accelerator", ANEURALNETWORKS_DEVICE_ACCELERATOR},
};

constexpr uint32_t bit(Type type) { return uint32_t{1} << type; }
// Indices, sizes, masks and biases come with data of every type.
constexpr uint32_t kCompanions = bit(TENSOR_INT32) | bit(TENSOR_BOOL8);
constexpr uint32_t kFloat = kCompanions | bit(TENSOR_FLOAT32) | bit(TENSOR_FLOAT16);
constexpr uint32_t kQuantized = kCompanions | bit(TENSOR_QUANT8_ASYMM) |
                                bit(TENSOR_QUANT8_ASYMM_SIGNED) | bit(TENSOR_QUANT8_SYMM) |
                                bit(TENSOR_QUANT8_SYMM_PER_CHANNEL) | bit(TENSOR_QUANT16_ASYMM) |
                                bit(TENSOR_QUANT16_SYMM);

std::string trimmed(const std::string& text) {
    const auto first = text.find_first_not_of(" \t\r");
    if (first == std::string::npos) return "";
    return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

class Parser {
public:
    Parser(const std::string& text, const std::string& path) : text_(text), path_(path) {}

    std::vector<ANeuralNetworksDevice> parse() {
        std::istringstream lines(text_);
        for (std::string line; std::getline(lines, line);) {
            number_++;
            line = trimmed(line.substr(0, line.find('#')));
            if (line.empty()) continue;
            if (line.front() == '[') {
                begin(line);
                continue;
            }
            const auto equals = line.find('=');
            if (equals == std::string::npos) refuse("write [name] or key = value, not", line);
            if (devices_.empty()) refuse("a [name] must come before", line);
            set(trimmed(line.substr(0, equals)), trimmed(line.substr(equals + 1)));
        }
        return std::move(devices_);
    }

private:
    [[noreturn]] void refuse(const char* what, const std::string& value) const {
        fail(ANEURALNETWORKS_OP_FAILED, "%s:%d: %s '%.60s'", path_.c_str(), number_, what,
             value.c_str());
    }

    void begin(const std::string& line) {
        const std::string name = trimmed(line.substr(1, line.find(']') - 1));
        if (line.back() != ']' || name.empty()) refuse("write a device as [name], not", line);
        bool taken = name == "nnapi-reference";
        for (const auto& device : devices_) taken = taken || device.name == name;
        if (taken) refuse("there is already a device", name);
        if (devices_.size() + 1 >= kMostDevices) refuse("more than 31 devices, drop", name);
        ANeuralNetworksDevice device;
        device.name = name;
        device.version = kDriverVersion;
        device.type = ANEURALNETWORKS_DEVICE_ACCELERATOR;
        device.operations.set();
        devices_.push_back(std::move(device));
    }

    void set(const std::string& key, const std::string& value) {
        ANeuralNetworksDevice& device = devices_.back();
        if (value.empty()) refuse("give a value to", key);
        if (key == "type") {
            device.type = find(kDeviceTypes, value, "write other, cpu, gpu or accelerator, not");
        } else if (key == "version") {
            device.version = value;
        } else if (key == "level") {
            const double level = number(value, 1, 8);
            if (level != std::floor(level)) refuse("write a feature level from 1 to 8, not", value);
            device.level = static_cast<int>(level);
        } else if (key == "types") {
            device.types = types(value);
        } else if (key == "operations") {
            device.operations.reset();
            for (std::istringstream words(value); words >> word_;) {
                device.operations.set(static_cast<size_t>(
                    find(kOperations, word_, "write names like CONV_2D, not")));
            }
        } else if (key == "performance") {
            device.performance = number(value, 1e-6, 1e6);
        } else if (key == "execution_ms") {
            device.executionTime = milliseconds(value);
        } else if (key == "compilation_ms") {
            device.compilationTime = milliseconds(value);
        } else if (key == "fails") {
            device.fails = failure(value);
        } else {
            refuse("unknown key", key);
        }
    }

    uint32_t types(const std::string& value) {
        uint32_t mask = 0;
        for (std::istringstream words(value); words >> word_;) {
            if (word_ == "float") {
                mask |= kFloat;
            } else if (word_ == "quantized") {
                mask |= kQuantized;
            } else {
                constexpr const char* advice =
                    "write float, quantized or names like TENSOR_FLOAT32, not";
                mask |= uint32_t{1} << find(kTypes, word_, advice);
            }
        }
        return mask;
    }

    template <size_t count>
    int32_t find(const Named (&table)[count], const std::string& name, const char* advice) const {
        for (const Named& entry : table)
            if (name == entry.name) return entry.code;
        refuse(advice, name);
    }

    double number(const std::string& value, double least, double most) const {
        char* end = nullptr;
        const double result = std::strtod(value.c_str(), &end);
        if (*end != '\0' || !(result >= least && result <= most)) {
            refuse("out of range or no number:", value);
        }
        return result;
    }

    std::chrono::nanoseconds milliseconds(const std::string& value) const {
        return std::chrono::nanoseconds(static_cast<int64_t>(number(value, 0, 3.6e6) * 1e6));
    }

    ANeuralNetworksDevice::Failure failure(const std::string& value) const {
        using enum ANeuralNetworksDevice::Failure;
        if (value == "never") return NEVER;
        if (value == "compilation") return COMPILATION;
        if (value == "execution") return EXECUTION;
        refuse("write never, compilation or execution, not", value);
    }

    const std::string& text_;
    const std::string& path_;
    int number_ = 0;
    std::string word_;
    std::vector<ANeuralNetworksDevice> devices_;
};

}  // namespace

std::vector<ANeuralNetworksDevice> parseDevices(const std::string& text, const std::string& path) {
    return Parser(text, path).parse();
}

}  // namespace nnapi
