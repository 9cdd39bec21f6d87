const clusterGroup = {
  title: "Broker group",
};

export default clusterGroup;
