// The one import for users of the library.
@_exported import CarouselFormats
@_exported import CarouselModel
@_exported import CarouselONNX
@_exported import CarouselOpenCL
@_exported import CarouselReference
@_exported import CarouselTraining
@_exported import OpenCLDriver
