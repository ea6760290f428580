// Regions of interest, as ROI_ALIGN and ROI_POOLING see them.
#pragma once

#include "boxes.h"
#include "kernel.h"
#include "rules.h"
#include "sliding.h"

namespace nnapi {

/// A region in feature map coordinates, not rounded.
struct Region {
    size_t batch;
    double x1, y1, x2, y2;
};

/// Inputs 0 to 6: feature map, regions, batch indices, output height and width, ratios of the
/// original image's height and width to the feature map's; output 0.
void validateRegions(OpView& v, size_t layout);

/// The same at execution, and the output's shape.
void prepareRegions(Context& c, bool nchw);

/// Region `i`, checked by `prepareRegions`.
Region region(const Context& c, size_t i);

}  // namespace nnapi
