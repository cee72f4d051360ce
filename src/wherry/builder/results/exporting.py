"""What becomes of a build's results: images that are kept, archives, trees of files.

A result is one state for each platform. As an image each is recorded, all side by side under the
same names, and sent to registries by documents (`products`) that say the same. As an archive it is
those documents and what they name, without being recorded. As files it is the root of the last
stage (`trees`).
"""

import base64
import json
from collections.abc import AsyncIterator, Iterator, Sequence

from wherry.builder.cache.elsewhere import layout_blobs
from wherry.builder.planning import EPOCH
from wherry.builder.publishing import Registries, TellProgress
from wherry.builder.results.attesting import Attesting
from wherry.builder.results.products import Product, Result, make_product
from wherry.builder.results.trees import ResultTrees
from wherry.builder.results.wishes import OutputWish, read_wish
from wherry.builder.sources.ports import Layouts, Sink
from wherry.builder.steps.stage_files import StageFiles
from wherry.builder.work_places import WorkPlaces
from wherry.images import (
    BuildImages,
    Recorded,
    layout_archive,
    name_annotations,
    parse,
)
from wherry.kit.aio import OffloadPool, UndoStack, in_thread, written_in_thread
from wherry.kit.values import replace
from wherry.model.builds import BuildDone, BuildRequest, OutputKind
from wherry.model.errors import FeatureMissing, InvalidValue
from wherry.oci.image_json import DESCRIPTOR
from wherry.snapshots import Compression, tree_tar

_LAYOUT_OF_RESULTS = "export"
"""What clients call the layout that results go into (`tar=false`)."""
_DESCRIPTOR = "containerimage.descriptor"


class Exporting:
    """The outputs of one build."""

    def __init__(
        self,
        *,
        request: BuildRequest,
        sink: Sink,
        layouts: Layouts,
        images: BuildImages,
        files: StageFiles,
        work: WorkPlaces,
        registries: Registries,
        tell: TellProgress,
        attesting: Attesting,
        offload: OffloadPool,
    ) -> None:
        """Raises: InvalidValue, FeatureMissing, for what outputs ask for."""
        self._request = request
        has_epoch = bool(request.arguments.get(EPOCH))
        self._wishes = [read_wish(each, has_epoch=has_epoch) for each in request.outputs]
        kinds = {each.kind for each in request.outputs}
        if attesting.is_everywhere and OutputKind.DOCKER in kinds:
            # An archive of docker's has no index beside which something could be said of images.
            raise FeatureMissing("attestations of type=docker")
        self._sink = sink
        self._layouts = layouts
        self._images = images
        self._trees = ResultTrees(
            attesting=attesting,
            files=files,
            work=work,
            offload=offload,
            latest_ns=images.latest_ns,
        )
        self._registries = registries
        self._tell = tell
        self._attesting = attesting
        self._offload = offload

    async def export(self, results: Sequence[Result]) -> BuildDone:
        """Do with the results what the request says. Raises: InvalidValue, RegistryRefused, ..."""
        done = BuildDone(image_id="")
        for number, (output, wish) in enumerate(
            zip(self._request.outputs, self._wishes, strict=True)
        ):
            match output.kind:
                case OutputKind.IMAGE:
                    done = await self._image(wish, results)
                case OutputKind.OCI | OutputKind.DOCKER:
                    told = await self._archive(number, output.kind, wish, results)
                    done = done if done.image_id else told
                case OutputKind.TAR | OutputKind.LOCAL:
                    await self._tree(number, output.kind, wish, results)
        return done

    # -- images ------------------------------------------------------------------------------

    async def _image(self, wish: OutputWish, results: Sequence[Result]) -> BuildDone:
        names = self._names(wish)
        is_attested = self._attesting.is_everywhere or wish.is_pushed
        # What stays here alone stays as it is: nobody needs it to be smaller.
        goes_out = wish.is_pushed or is_attested or wish.compression is not None
        packing = (wish.compression or Compression.GZIP) if goes_out else wish.compression
        product = await self._product(wish, results, packing, names, is_attested=is_attested)
        kept = () if wish.is_pushed_by_digest else names
        by = _recorded(product) if goes_out else None
        await self._offload(self._images.record, product.states, kept, by)
        if wish.is_pushed:
            await self._pushed(product, names, by_digest=wish.is_pushed_by_digest)
        told = names
        if wish.is_name_canonical:
            told = (*names, *(f"{each}@{product.descriptor.digest}" for each in names))
        return self._done(product, told)

    async def _pushed(self, product: Product, names: Sequence[str], *, by_digest: bool) -> None:
        if not names:
            raise InvalidValue("tag is needed when pushing to registry")
        for name in names:
            reference = parse(name)
            await self._registries.upload(
                reference.repository if by_digest else name,
                layers=product.layers,
                documents=product.blobs,
                manifests=product.documents,
                tell=self._tell,
            )
            await self._offload(
                self._images.known_as, product.states, reference, product.documents
            )

    async def _product(
        self,
        wish: OutputWish,
        results: Sequence[Result],
        compression: Compression | None,
        names: Sequence[str],
        *,
        is_attested: bool,
    ) -> Product:
        predicates = await self._attesting.of(results) if is_attested else {}
        states = [each.state for each in results]
        return await self._offload(
            make_product, states, wish, compression, predicates, names, self._images
        )

    def _done(self, product: Product, names: Sequence[str]) -> BuildDone:
        descriptor = json.dumps(DESCRIPTOR.to_json(product.descriptor)).encode()
        return BuildDone(
            image_id=product.states[0].image_id,
            names=tuple(names),
            digest=product.descriptor.digest,
            said={_DESCRIPTOR: base64.b64encode(descriptor).decode()},
        )

    def _names(self, wish: OutputWish) -> tuple[str, ...]:
        """What an image is to be called, by `--tag` and by the output itself."""
        names = (*self._request.names, *wish.names)
        if wish.is_pushed_by_digest:
            for each in names:
                if parse(each).tag:
                    raise InvalidValue(f"can't push tagged ref {each} by digest")
            return tuple(dict.fromkeys(names))
        return tuple(dict.fromkeys(parse(each).with_default_tag().familiar for each in names))

    # -- archives ----------------------------------------------------------------------------

    async def _archive(
        self, number: int, kind: OutputKind, wish: OutputWish, results: Sequence[Result]
    ) -> BuildDone:
        if kind is OutputKind.DOCKER and len(results) > 1:
            raise InvalidValue(
                "docker exporter does not currently support exporting manifest lists"
            )
        names = self._names(wish)
        packing = wish.compression
        if packing is None and kind is OutputKind.OCI:
            packing = Compression.GZIP
        is_attested = kind is OutputKind.OCI or self._attesting.is_everywhere
        product = await self._product(wish, results, packing, names, is_attested=is_attested)
        if not wish.is_tar:
            await self._layouts.fill(
                number,
                _LAYOUT_OF_RESULTS,
                await self._offload(layout_blobs, self._images, product.digests),
                product.descriptor,
            )
        elif kind is OutputKind.DOCKER:
            await self._sink.stream(
                number,
                in_thread(self._offload, lambda: self._images.archived(product.states, names)),
            )
        else:
            pieces = in_thread(self._offload, lambda: self._packed_layout(product, names))
            await self._sink.stream(number, pieces)
        return replace(self._done(product, names), image_id="", names=())

    def _packed_layout(self, product: Product, names: Sequence[str]) -> Iterator[bytes]:
        blobs = [
            (each.digest, each.size_bytes, each.open)
            for each in layout_blobs(self._images, product.digests)
        ]
        told = [{**product.descriptor.annotations, **each} for each in name_annotations(names)]
        tops = [replace(product.descriptor, annotations=each) for each in told]
        return layout_archive(blobs, tops)

    # -- trees of files ----------------------------------------------------------------------

    async def _tree(
        self, number: int, kind: OutputKind, wish: OutputWish, results: Sequence[Result]
    ) -> None:
        async with UndoStack() as opened:
            root = await self._trees.opened(wish, results, opened)
            if kind is OutputKind.LOCAL:
                await self._sink.directory(number, root)
            else:
                await self._sink.stream(number, self._packed(root))

    def _packed(self, root: int) -> AsyncIterator[bytes]:
        return written_in_thread(self._offload, lambda writer: tree_tar(root, writer))


def _recorded(product: Product) -> Recorded:
    """What images are to be known by."""
    return Recorded(
        manifests=product.manifests, index=product.documents[-1] if product.has_index else None
    )
